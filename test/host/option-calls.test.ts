/** Every object that a call takes by its keys refuses one that there is not: the calls that need a KVM. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { GuestMemory, Kvm, KvmDsmError, type Machine, machine, UnsupportedError, type Vm } from '../../lib/index.ts';
import { noKvm } from '../support/host.ts';
import { placesIn, refuses } from '../support/odd-key.ts';
import { type OptionCall, optionCalls, type World } from '../support/option-calls.ts';

describe('an object that is taken by its keys', { skip: noKvm }, () => {
  let made: Machine;
  let kvm: Kvm;
  before(async () => {
    made = await machine();
    kvm = Kvm.open();
  });
  after(() => {
    made.close();
    kvm.close();
  });

  /** A new VM for each call, so that none stands in another's way. */
  async function withWorld(name: string, work: (world: World) => unknown): Promise<void> {
    using memory = GuestMemory.allocate(8192);
    using vm = kvm.createVm();
    vm.createIrqchip();
    if (!name.startsWith('Vm.createPit2')) vm.createPit2();
    vm.setMemory({ slot: 0, guestPhysAddr: 0, memory });
    const vcpu = vm.createVcpu(0);
    await work({ kvm, vm, vcpu, machine: made, memory });
  }

  const needsKvm = Object.entries(optionCalls).filter(([, call]) => !call.anywhere);
  for (const [name, call] of needsKvm)
    test(name, async (t) => {
      await withWorld(name, async (world) => {
        if (call.needs === 'vfio' && !hasVfio(world.vm)) return t.skip('this kernel has no VFIO device');
        for (const good of call.good(world)) {
          const places = placesIn(good);
          assert.ok(places.length > 0, 'nothing in it is taken by its keys');
          for (const path of places) assert.ok(await refuses(call, good, path, world), path.join('.'));
          if (!call.dry) await withWorld(name, (fresh) => taken(call, good, fresh));
        }
      });
    });
});

/** What is good is not refused as an argument; whether this kernel can do it is another matter. */
async function taken(call: OptionCall, good: unknown, world: World): Promise<void> {
  try {
    await call.call(good, world);
  } catch (error) {
    assert.ok(error instanceof KvmDsmError && error.code !== 'ERR_ARGUMENT', String(error));
  }
}

function hasVfio(vm: Vm): boolean {
  try {
    vm.createDevice('vfio').close();
    return true;
  } catch (error) {
    if (error instanceof UnsupportedError) return false;
    throw error;
  }
}
