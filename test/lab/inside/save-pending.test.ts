/** A forwarded interrupt that is pending when a machine is saved. Needs a kernel with the series. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Exit,
  type GuestMemory,
  Kvm,
  out8,
  PendingExitError,
  restoreMachineState,
  saveMachineState,
  spin,
  type Vcpu,
  write32,
} from '../../../lib/index.ts';
import { DONE, type Guest, noSingleStep, withGuest } from '../../support/guest32.ts';
import { errorOf, noForwardingKvm } from '../../support/host.ts';

const ICR = 0xfee0_0300;
const ICR2 = 0xfee0_0310;
const VECTOR = 0x4f;
/** No memory is there: an access is an exit. */
const DEVICE = 0xd000_0000;

/** `mov esi, DEVICE; mov edi, ICR; movsd`: one instruction that reads from user space and writes the ICR. */
const moveToIcr = Uint8Array.of(0xbe, 0x00, 0x00, 0x00, 0xd0, 0xbf, 0x00, 0x03, 0xe0, 0xfe, 0xa5);

const withTwo = (use: (g: Guest, target: Vcpu) => void) =>
  withGuest({}, (g) => {
    const target = g.vm.createVcpu(1);
    target.setLapicRegisters({ SVR: 0x1ff });
    use(g, target);
  });

function assertForwarded(exit: Exit, register: string, value: number): void {
  assert.equal(exit.name, 'KVM_EXIT_DSM_SEND_IRQ');
  assert.deepEqual([exit.id, exit.register, exit.val2, exit.destId], [0, register, value, 1]);
}

function assertDone(exit: Exit): void {
  assert.equal(exit.name === 'KVM_EXIT_IO' && exit.port, DONE, exit.name);
}

/** The save refuses and hands over the exit; the next one takes the machine as it is after it. */
function assertSavedBehindTheExit(g: Guest, target: Vcpu): void {
  const error = errorOf(() => saveMachineState(g.kvm, g.vm));
  assert.ok(error instanceof PendingExitError, String(error));
  assert.deepEqual([error.code, error.vcpuId, error.reason], ['ERR_PENDING_EXIT', 0, 45]);
  assert.match(error.message, /KVM_EXIT_DSM_SEND_IRQ/);
  assertForwarded(g.vcpu.exit(), 'ICR', 0x4000 | VECTOR);
  assert.deepEqual(target.lapic().irr, [VECTOR], 'delivered here as well, once');

  const state = saveMachineState(g.kvm, g.vm);
  assertDone(g.run());
  using kvm = Kvm.open();
  using vm = kvm.createVm();
  const memories: GuestMemory[] = restoreMachineState(vm, state);
  try {
    // Neither lost nor twice: the exit was handed over before the save, and is in no part of it.
    assertDone(vm.vcpus.get(0)!.run({ deadline: '5s' }));
    assert.deepEqual(vm.vcpus.get(1)!.lapic().irr, [VECTOR]);
  } finally {
    for (const memory of memories) memory.close();
  }
}

test('the save refuses while the end of an instruction has a forwarded interrupt pending', {
  skip: noForwardingKvm,
}, () => {
  withTwo((g, target) => {
    g.load([write32(ICR2, 0x0100_0000), moveToIcr, out8(DONE), spin], { interrupts: true });
    assertForwarded(g.run(), 'ICR2', 0x0100_0000);
    const read = g.run();
    assert.equal(read.name, 'KVM_EXIT_MMIO');
    assert.deepEqual([read.physAddr, read.isWrite, target.lapic().irr], [BigInt(DEVICE), false, []]);
    // struct kvm_run: mmio.data. The ICR is written when KVM finishes the instruction with it: in the save.
    g.vcpu.kvmRun.setUint32(40, 0x4000 | VECTOR, true);
    assertSavedBehindTheExit(g, target);
  });
});

test('the save refuses between the step over an ICR write and its exit', {
  skip: noForwardingKvm || noSingleStep,
}, () => {
  withTwo((g, target) => {
    g.load([write32(ICR2, 0x0100_0000), write32(ICR, 0x4000 | VECTOR), out8(DONE), spin], { interrupts: true });
    assertForwarded(g.run(), 'ICR2', 0x0100_0000);
    g.vcpu.debug({ singleStep: true });
    // For the same instruction: this first, the forwarded interrupt after it.
    assert.equal(g.run().name, 'KVM_EXIT_DEBUG');
    assert.deepEqual(target.lapic().irr, [VECTOR]);
    g.vcpu.debug({});
    assertSavedBehindTheExit(g, target);
  });
});

test('an exit that is pending comes by itself when nobody saves', { skip: noForwardingKvm }, () => {
  withTwo((g) => {
    g.load([write32(ICR2, 0x0100_0000), moveToIcr, out8(DONE), spin], { interrupts: true });
    g.run();
    g.run();
    g.vcpu.kvmRun.setUint32(40, 0x4000 | VECTOR, true);
    assertForwarded(g.run(), 'ICR', 0x4000 | VECTOR);
    assertDone(g.run());
  });
});
