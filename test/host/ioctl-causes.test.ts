import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultProfile, EventFd, type IoctlError, Kvm, type KvmDsmError, type Vm } from '../../lib/index.ts';
import { errorOf, noKvm, noStockKvm } from '../support/host.ts';

const skip = { skip: noKvm };

function withVm(use: (vm: Vm) => void): void {
  using kvm = Kvm.open();
  using vm = kvm.createVm();
  use(vm);
}

function assertSays(error: KvmDsmError, errno: string, cause: RegExp): void {
  assert.equal((error as IoctlError).errnoName, errno);
  assert.match(`${error.message} ${error.advice}`, cause);
  assert.doesNotMatch(error.advice, /Look up/);
}

test('resampling on a split irqchip names the IOAPIC that it lacks', skip, () => {
  withVm((vm) => {
    vm.enableSplitIrqchip();
    using event = EventFd.create();
    using resample = EventFd.create();
    const error = errorOf(() => vm.assignIrqfd(event, 5, { resample }));
    assert.match(error.message, /resampling needs the in-kernel IOAPIC/);
    assertSays(error, 'EINVAL', /KVM_EXIT_IOAPIC_EOI/);
  });
});

test('what the kernel refuses is told with its causes', skip, () => {
  withVm((vm) => {
    vm.createIrqchip();
    const vcpu = vm.createVcpu(0);
    assertSays(
      errorOf(() => vcpu.setMpState(99)),
      'EINVAL',
      /none of x86/,
    );
    const sregs = vcpu.getSregs();
    assertSays(
      errorOf(() => vcpu.setSregs({ ...sregs, cr0: 0x8000_0010n })),
      'EINVAL',
      /CR0\.PG without CR0\.PE/,
    );
    assertSays(
      errorOf(() => vm.setBootCpuId(0)),
      'EBUSY',
      /createVcpu|has a vCPU already/,
    );
    using event = EventFd.create();
    assertSays(
      errorOf(() => vm.deassignIoeventfd(event, { address: 0x60, pio: true, length: 1 })),
      'ENOENT',
      /no event is assigned/,
    );
    assertSays(
      errorOf(() => vm.createDevice(3)),
      'ENODEV',
      /VFIO alone/,
    );
  });
});

// A kernel with the series takes the call, whatever vCPU it names: some then crash.
test("a request of the series that ioctlRaw makes has the series' name", { skip: noStockKvm }, () => {
  withVm((vm) => {
    const { request, argument } = defaultProfile.ioctls.KVM_DSM_IPI;
    const error = errorOf(() => vm.ioctlRaw(request, new Uint8Array(argument.size)));
    assert.deepEqual([(error as IoctlError).ioctl, (error as IoctlError).errnoName], ['KVM_DSM_IPI', 'ENOTTY']);
  });
});
