import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  DeadlineError,
  enterFlat32,
  flat32,
  GuestMemory,
  hlt,
  Kvm,
  out8Value,
  spin,
  type Vm,
} from '../../lib/index.ts';
import { errorOf, noKvm } from '../support/host.ts';

function withVm(use: (vm: Vm, memory: GuestMemory) => void): void {
  using kvm = Kvm.open();
  using vm = kvm.createVm();
  using memory = GuestMemory.allocate(0x4000);
  vm.createIrqchip();
  use(vm, memory);
}

test('a vcpu_id twice', { skip: noKvm }, () => {
  withVm((vm) => {
    vm.createVcpu(3);
    const error = errorOf(() => vm.createVcpu(3));
    assert.equal(error.code, 'ERR_VCPU_EXISTS');
    assert.match(error.message, /vcpu_id 3/);
    assert.equal(vm.createVcpu(4).vcpuId, 4);
  });
});

test('a vcpu_id that KVM does not allow', { skip: noKvm }, () => {
  withVm((vm) => {
    for (const id of [-1, 1.5, vm.checkExtension('KVM_CAP_MAX_VCPU_ID'), 2 ** 32])
      assert.equal(errorOf(() => vm.createVcpu(id)).code, 'ERR_VCPU_ID', `vcpu_id ${id}`);
  });
});

test('a vCPU without memory does not run', { skip: noKvm }, () => {
  withVm((vm) => {
    assert.equal(errorOf(() => vm.createVcpu(0).run()).code, 'ERR_NO_MEMORY');
  });
});

test('use after close, of the vCPU and of its VM', { skip: noKvm }, () => {
  withVm((vm, memory) => {
    vm.setMemory({ slot: 0, guestPhysAddr: 0, memory });
    const [first, second] = [vm.createVcpu(0), vm.createVcpu(1)];
    const { kvmRun } = first;
    first.close();
    assert.equal(errorOf(() => first.run()).code, 'ERR_CLOSED');
    assert.equal(errorOf(() => first.getRegs()).code, 'ERR_CLOSED');
    assert.equal(kvmRun.buffer.byteLength, 0);
    vm.close();
    assert.equal(errorOf(() => second.run()).code, 'ERR_CLOSED');
    assert.equal(errorOf(() => vm.createVcpu(2)).code, 'ERR_CLOSED');
  });
});

test('a second irqchip', { skip: noKvm }, () => {
  withVm((vm) => {
    const error = errorOf(() => vm.createIrqchip()) as { code: string; ioctl?: string; errnoName?: string };
    assert.deepEqual([error.code, error.ioctl, error.errnoName], ['ERR_IOCTL', 'KVM_CREATE_IRQCHIP', 'EEXIST']);
  });
});

test('a guest runs, and its registers are its own', { skip: noKvm }, () => {
  withVm((vm, memory) => {
    vm.setMemory({ slot: 0, guestPhysAddr: 0, memory });
    const vcpu = vm.createVcpu(0);
    memory.write(0x1000, flat32(out8Value(0x42, 0x5a), hlt).bytes);
    enterFlat32(vcpu, { rip: 0x1000, rsp: 0x1000, interrupts: false });
    vcpu.setRegs({ rbx: 0x1234_5678n });
    const exit = vcpu.run();
    assert.equal(exit.name, 'KVM_EXIT_IO');
    assert.deepEqual([exit.direction, exit.port, [...exit.data]], ['out', 0x42, [0x5a]]);
    assert.equal(vcpu.getRegs().rbx, 0x1234_5678n);
    assert.equal(vcpu.getRegs().rax & 0xffn, 0x5an);
  });
});

for (const [what, code] of [
  ['spins', spin],
  ['is blocked in HLT', hlt],
] as const) {
  test(`a guest that ${what} ends by its deadline, and can be run again`, { skip: noKvm }, () => {
    withVm((vm, memory) => {
      vm.setMemory({ slot: 0, guestPhysAddr: 0, memory });
      const vcpu = vm.createVcpu(0);
      memory.write(0x1000, flat32(code).bytes);
      enterFlat32(vcpu, { rip: 0x1000, rsp: 0x1000, interrupts: true });
      const error = errorOf(() => vcpu.run({ deadline: '50ms' }));
      assert.ok(error instanceof DeadlineError);
      assert.match(error.report, /rip 0x100[01]/);
      assert.equal(vcpu.kvmRun.getUint8(1), 0, 'immediate_exit is taken back');
      memory.write(0x2000, flat32(out8Value(0x42, 1)).bytes);
      enterFlat32(vcpu, { rip: 0x2000, rsp: 0x1000, interrupts: true });
      vcpu.setMpState(0);
      assert.equal(vcpu.run().name, 'KVM_EXIT_IO');
    });
  });
}

test('a deadline that is none', { skip: noKvm }, () => {
  withVm((vm, memory) => {
    vm.setMemory({ slot: 0, guestPhysAddr: 0, memory });
    const vcpu = vm.createVcpu(0);
    for (const deadline of [0, -1, Number.NaN, Number.POSITIVE_INFINITY, 'soon', '5h'])
      assert.equal(errorOf(() => vcpu.run({ deadline: deadline as number })).code, 'ERR_ARGUMENT', String(deadline));
  });
});

test('a VM keeps the memory that a script forgot', { skip: noKvm }, () => {
  withVm((vm, memory) => {
    vm.setMemory({ slot: 0, guestPhysAddr: 0, memory });
    memory.write(0x1000, flat32(out8Value(0x42, 0x77)).bytes);
    const vcpu = vm.createVcpu(0);
    enterFlat32(vcpu, { rip: 0x1000, rsp: 0x1000, interrupts: false });
    memory.close();
    // If the pages had gone, the next mappings would take their place.
    const others = Array.from({ length: 8 }, () => GuestMemory.allocate(0x4000));
    for (const other of others) other.bytes.fill(0xcc);
    const exit = vcpu.run();
    assert.equal(exit.name, 'KVM_EXIT_IO');
    assert.equal(exit.data[0], 0x77);
    for (const other of others) other.close();
  });
});
