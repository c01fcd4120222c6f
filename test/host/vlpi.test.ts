/** The typed calls of arm64's vLPIs: refused on x86 before the ioctl, and made where this is arm64. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type ArchitectureError,
  type InterruptLossError,
  IoctlError,
  Kvm,
  type UnsupportedError,
  type Vm,
} from '../../lib/index.ts';
import { errorOf, noKvm } from '../support/host.ts';

const VECTOR = 0x41;

const calls = [
  ['KVM_ENABLE_VCPU_VLPI', 0x4004_aef0, (vm: Vm, vcpuId: number) => vm.enableVcpuVlpi(vcpuId)],
  ['KVM_DISABLE_VCPU_VLPI', 0x4004_aef1, (vm: Vm, vcpuId: number) => vm.disableVcpuVlpi(vcpuId, { insist: true })],
  ['KVM_QUERY_VCPU_VLPI', 0x8004_aef2, (vm: Vm, vcpuId: number) => vm.queryVcpuVlpi(vcpuId)],
] as const;

/** A VM with vCPUs 0 and 1, and an interrupt that is pending for vCPU 1: it is there in the end as well. */
function withPending(use: (vm: Vm) => void): void {
  using kvm = Kvm.open();
  using vm = kvm.createVm();
  vm.createIrqchip();
  for (const id of [0, 1]) vm.createVcpu(id).setLapicRegisters({ SVR: 0x1ff });
  vm.signalMsi({ addressLo: 0xfee0_1000, data: VECTOR });
  const irr = () => vm.vcpus.get(1)!.lapic().irr;
  assert.deepEqual(irr(), [VECTOR]);
  use(vm);
  assert.deepEqual(irr(), [VECTOR]);
}

/** What this package does where Node.js says that it is arm64; the kernel is this machine's all the same. */
function asArm64(action: () => void): void {
  const arch = Object.getOwnPropertyDescriptor(process, 'arch')!;
  Object.defineProperty(process, 'arch', { ...arch, value: 'arm64' });
  try {
    action();
  } finally {
    Object.defineProperty(process, 'arch', arch);
  }
}

for (const [name, request, call] of calls) {
  // A kernel that was asked would answer ENOTTY, which is ERR_UNSUPPORTED.
  test(`${name} on x86: refused before the ioctl`, { skip: noKvm }, () =>
    withPending((vm) => {
      for (const vcpuId of [0, 1, 99]) {
        const error = errorOf(() => call(vm, vcpuId)) as ArchitectureError;
        assert.deepEqual(
          [error.code, error.name, error.ioctl, error.request, error.architecture, error.exitCode],
          ['ERR_ARCHITECTURE', 'ArchitectureError', name, request, 'arm64', 3],
        );
        assert.match(error.message, new RegExp(`^${name} \\(0x${request.toString(16)}\\) .*arm64.* x64`));
        assert.match(error.advice, /arm64 host.*signalMsi/);
      }
    }),
  );

  test(`${name}: arguments first, and a closed VM before all`, { skip: noKvm }, () =>
    withPending((vm) => {
      for (const vcpuId of [-1, 0.5, 2 ** 31, '0', undefined])
        assert.equal(errorOf(() => call(vm, vcpuId as number)).code, 'ERR_ARGUMENT');
      using other = Kvm.open().createVm();
      other.close();
      assert.equal(errorOf(() => call(other, 0)).code, 'ERR_CLOSED');
    }),
  );

  test(`${name} on arm64: down to the kernel, which has no such ioctl here`, { skip: noKvm }, () =>
    withPending((vm) =>
      asArm64(() => {
        const error = errorOf(() => call(vm, 1)) as UnsupportedError;
        assert.deepEqual(
          [error.code, error.missing, error.kconfig],
          ['ERR_UNSUPPORTED', name, 'CONFIG_ARM_GIC_V3_PER_VCPU_VLPI'],
        );
        const absent = errorOf(() => call(vm, 2));
        assert.equal(absent.code, 'ERR_NO_VCPU');
        assert.match(absent.advice, /0, 1/);
      }),
    ),
  );
}

test('KVM_DISABLE_VCPU_VLPI may lose what is pending: nobody comes to it who does not insist', { skip: noKvm }, () =>
  withPending((vm) => {
    assert.equal(errorOf(() => vm.disableVcpuVlpi(1)).code, 'ERR_ARCHITECTURE');
    asArm64(() => {
      for (const options of [undefined, {}, { insist: false }]) {
        const error = errorOf(() => vm.disableVcpuVlpi(1, options)) as InterruptLossError;
        assert.deepEqual([error.code, error.ioctl, error.vcpuId], ['ERR_INTERRUPT_LOSS', 'KVM_DISABLE_VCPU_VLPI', 1]);
        assert.match(error.message, /may lose interrupts/);
        assert.match(error.advice, /insist: true/);
      }
    });
    assert.equal(errorOf(() => vm.disableVcpuVlpi(1, null as never)).code, 'ERR_ARGUMENT');
  }),
);

test('the bytes that go down are taken as they are: this kernel answers ENOTTY to each', { skip: noKvm }, () =>
  withPending((vm) => {
    for (const [, request] of calls)
      assert.throws(
        () => vm.ioctlRaw(request, Uint8Array.of(1, 0, 0, 0)),
        (error) => error instanceof IoctlError && error.errnoName === 'ENOTTY',
      );
  }),
);
