/** A VM asks for what its profile has an opt-in for. A mainline capability stands for it, since every kernel has that. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  asm,
  type DsmProfile,
  Kvm,
  machine,
  profileByName,
  restoreMachineState,
  saveMachineState,
} from '../../lib/index.ts';
import { errorOf, noKvm } from '../support/host.ts';

const cap = 'KVM_CAP_X2APIC_API';
const profile: DsmProfile = {
  ...profileByName('rfc-v2'),
  name: 'asks',
  optIn: {
    name: cap,
    capability: 129,
    bits: { IDS: 1, QUIRK: 2, NONE_HAS: 1 << 20 },
    usual: ['IDS', 'NONE_HAS'],
    source: 'api.rst',
  },
};
const open = () => Kvm.open('/dev/kvm', { profile });

describe('a profile with an opt-in', { skip: noKvm }, () => {
  test('a new VM asks for the usual bits, as far as the kernel offers them, or for what it is told', () => {
    using kvm = open();
    using usual = kvm.createVm();
    assert.deepEqual(usual.enabledCaps, [{ cap, args: [1n] }]);
    using both = kvm.createVm(0, { optIn: ['IDS', 'QUIRK'] });
    assert.deepEqual(both.enabledCaps, [{ cap, args: [3n] }]);
    using none = kvm.createVm(0, { optIn: [] });
    assert.deepEqual(none.enabledCaps, []);
  });

  test('what the profile or the kernel does not have is refused, and no VM is left behind', () => {
    using kvm = open();
    assert.equal(errorOf(() => kvm.createVm(0, { optIn: ['ODD'] })).code, 'ERR_ARGUMENT');
    assert.equal(errorOf(() => kvm.createVm(0, { optIn: ['NONE_HAS'] })).code, 'ERR_UNSUPPORTED');
    using plain = Kvm.open();
    const { code, advice } = errorOf(() => plain.createVm(0, { optIn: ['IDS'] }));
    assert.equal(code, 'ERR_ARGUMENT');
    assert.match(advice, /every VM makes the exits/);
  });

  test('a machine hands its choice on', async () => {
    using asked = await machine({ profile, optIn: ['QUIRK'] });
    assert.deepEqual(asked.vm.enabledCaps[0], { cap, args: [2n] });
    await assert.rejects(machine({ profile, optIn: ['ODD'] }), { code: 'ERR_ARGUMENT', argument: 'optIn' });
  });

  test('a restored VM has asked for what the saved one had asked for, and for nothing else', async () => {
    for (const optIn of [['QUIRK'], []]) {
      using saved = await machine({ profile, optIn });
      saved.vcpu(0).program(asm.real16`hlt`);
      using kvm = open();
      using fresh = kvm.createVm();
      for (const memory of restoreMachineState(fresh, saveMachineState(kvm, saved.vm))) memory.close();
      assert.deepEqual(fresh.enabledCaps.at(-1), { cap, args: [optIn.length === 0 ? 0n : 2n] });
    }
  });
});
