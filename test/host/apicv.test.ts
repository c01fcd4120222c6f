import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apicvParameter, apicvState, inhibitApicv, Kvm, measureApicv } from '../../lib/index.ts';
import { lacks, withGuest } from '../support/guest32.ts';
import { errorOf, noKvm } from '../support/host.ts';

const on = { parameter: 'kvm_intel/parameters/enable_apicv', enabled: true } as const;

test('what is concluded from a VM and the module', { skip: noKvm }, () => {
  withGuest({ irqchip: 'none' }, ({ vm }) => {
    const { active, certain } = apicvState(vm, on);
    assert.deepEqual({ active, certain }, { active: false, certain: true });
  });
  withGuest({}, ({ vm }) => {
    const verdict = (parameter: Parameters<typeof apicvState>[1]) => {
      const { active, certain } = apicvState(vm, parameter);
      return { active, certain };
    };
    assert.deepEqual(verdict(null), { active: false, certain: false });
    assert.deepEqual(verdict({ ...on, enabled: false }), { active: false, certain: true });
    assert.deepEqual(verdict(on), { active: true, certain: false });
    if (inhibitApicv(vm, 9)) {
      assert.deepEqual(verdict(on), { active: false, certain: true });
      assert.match(apicvState(vm, on).because, /vCPU 9/);
    }
  });
});

test('parameters of a module that are none', { skip: noKvm }, () => {
  withGuest({}, ({ vm }) => {
    for (const odd of [5, 'Y', [], {}, { ...on, parameter: Symbol('avic') }, { ...on, parameter: 'enable_apicv' }])
      assert.equal(errorOf(() => apicvState(vm, odd as never)).code, 'ERR_ARGUMENT');
  });
});

const skip = noKvm || lacks('KVM_CAP_BINARY_STATS_FD');

test('an inhibited VM is measured as inhibited', { skip: skip || lacks('KVM_CAP_SET_GUEST_DEBUG2', 0x10_0000) }, () => {
  using kvm = Kvm.open();
  assert.equal(measureApicv(kvm, { inhibit: true })?.active, false);
});

test('what is measured does not contradict a module that is off', { skip }, (t) => {
  if (apicvParameter()?.enabled) return t.skip('APICv is on here: nothing to contradict');
  using kvm = Kvm.open();
  assert.equal(measureApicv(kvm)?.active, false);
});
