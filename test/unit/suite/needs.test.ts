/** What a check needs of the profile that a kernel is judged by. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rfcV2 } from '../../../lib/abi/dsm/rfc-v2.ts';
import type { DsmProfile } from '../../../lib/abi/dsm/types.ts';
import { checkedInjection, emits, type Need, optIn, type TestedHost } from '../../../lib/suite/kit/needs.ts';
import { unknownFacts } from '../../../lib/suite/run/facts.ts';

const strict: DsmProfile = {
  ...rfcV2,
  name: 'strict',
  exits: { ...rfcV2.exits, KVM_EXIT_DSM_X2_ICR: { ...rfcV2.exits.KVM_EXIT_DSM_X2_ICR, emitted: true } },
  optIn: { name: 'KVM_CAP_X', capability: 9, bits: { ICR: 1 }, usual: ['ICR'], source: 'patch 1' },
  injectionChecks: true,
};

function missing(need: Need, profile: DsmProfile): string | null {
  const world: TestedHost = { facts: unknownFacts('svm', '/dev/kvm', profile.name), profile, capability: () => 0 };
  return need.missing(world);
}

test('an exit is there where the profile makes it', () => {
  assert.equal(missing(emits('KVM_EXIT_DSM_SEND_IRQ'), rfcV2), null);
  assert.equal(missing(emits('KVM_EXIT_DSM_X2_ICR'), strict), null);
  assert.match(missing(emits('KVM_EXIT_DSM_X2_ICR'), rfcV2)!, /rfc-v2 does not make KVM_EXIT_DSM_X2_ICR/);
});

test("an opt-in and ioctls that check are the profile's", () => {
  for (const need of [optIn, checkedInjection]) {
    assert.equal(missing(need, strict), null);
    assert.match(missing(need, rfcV2)!, /rfc-v2/);
  }
});
