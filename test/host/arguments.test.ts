/** Wrong arguments that got past the checks to the kernel, or into a saved state: found by the fuzzer. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  ArgumentError,
  GuestMemory,
  Kvm,
  KvmDsmError,
  machine,
  restoreMachineState,
  saveMachineState,
} from '../../lib/index.ts';
import { noKvm } from '../support/host.ts';

// biome-ignore lint/suspicious/noExplicitAny: these are what the types refuse.
const wrong = (value: unknown): any => value;

describe('arguments', { skip: noKvm }, () => {
  test('a capability that does not exist is not KVM_CAP_IRQCHIP', () => {
    using kvm = Kvm.open();
    using vm = kvm.createVm();
    for (const cap of ['KVM_CAP_NONE', 'toString', undefined, null, -1, 0.5]) {
      assert.throws(() => kvm.checkExtension(wrong(cap)), ArgumentError);
      assert.throws(() => vm.checkExtension(wrong(cap)), ArgumentError);
    }
  });

  test('registers that are no object do not become zeros', () => {
    using kvm = Kvm.open();
    using vm = kvm.createVm();
    const vcpu = vm.createVcpu(0);
    const before = vcpu.getSregs();
    for (const value of [5, 'x', [], () => 0, undefined]) {
      assert.throws(() => vcpu.setSregs(wrong(value)), ArgumentError);
      assert.throws(() => vcpu.setRegs(wrong(value)), ArgumentError);
    }
    assert.deepEqual(vcpu.getSregs(), before);
  });

  test('a slot of wrong parts is refused before the kernel sees it', () => {
    using kvm = Kvm.open();
    using vm = kvm.createVm();
    using memory = GuestMemory.allocate(8192);
    const slot = { slot: 0, guestPhysAddr: 0, memory };
    for (const part of [{ offset: 1n << 64n }, { size: 4096n }, { memory: {} }, { slot: Symbol('slot') }])
      assert.throws(() => vm.setMemory(wrong({ ...slot, ...part })), KvmDsmError);
    assert.throws(() => vm.setMemory(wrong(undefined)), ArgumentError);
  });

  test('what is set up with values that are nearly right can be saved and restored', () => {
    using kvm = Kvm.open();
    using vm = kvm.createVm();
    using memory = GuestMemory.allocate(4096);
    vm.enableCap('KVM_CAP_X86_USER_SPACE_MSR', wrong([1]));
    assert.throws(() => vm.setMemory(wrong({ slot: 0, guestPhysAddr: 0, memory, logDirtyPages: 1 })), ArgumentError);
    vm.setMemory({ slot: 0, guestPhysAddr: 0, memory, logDirtyPages: true });
    using fresh = kvm.createVm();
    restoreMachineState(fresh, saveMachineState(kvm, vm));
    assert.equal(fresh.slots.get(0)?.logDirtyPages, true);
    assert.deepEqual(fresh.enabledCaps, [{ cap: 'KVM_CAP_X86_USER_SPACE_MSR', args: [1n] }]);
  });

  test("a machine's vCPU is found by its number alone", async () => {
    await using made = await machine();
    for (const id of ['length', 'map', Symbol('id'), 1]) assert.throws(() => made.vcpu(wrong(id)), ArgumentError);
  });

  test('a machine of wrong options is an ArgumentError', async () => {
    for (const options of [
      null,
      5,
      { vcpus: Symbol('n') },
      { irqchip: {} },
      { memory: 1n },
      { profile: {} },
      { device: 5 },
    ])
      await assert.rejects(machine(wrong(options)), ArgumentError);
  });

  test('a wait for what cannot come is refused at once', async () => {
    await using made = await machine();
    made.vcpu(0).program(Uint8Array.of(0xf4));
    for (const until of [5, { port: 'x' }, { exit: 7 }, { exits: Symbol('n') }, []])
      await assert.rejects(made.run({ until: wrong(until) }), ArgumentError);
  });
});
