/** The registry of DSM profiles. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  checkProfile,
  defaultProfile,
  dsmExitName,
  optInWords,
  profileByName,
  profiles,
} from '../../../lib/abi/dsm/profiles.ts';
import { exitReasonName, exitReasons, internalErrorName, systemEventName } from '../../../lib/abi/kvm/exit-reason.ts';

test('rfc-v2 is there, and the default', () => {
  assert.equal(profileByName('rfc-v2'), defaultProfile);
  assert.deepEqual([...profiles.keys()], ['rfc-v2', 'gvm-main', 'gvm-old', 'fixed-v1']);
});

test('an unknown profile is refused by name, with those there are', () => {
  assert.throws(() => profileByName('rfc-v9'), {
    code: 'ERR_ARGUMENT',
    argument: 'profile',
    message: /'rfc-v9'.*rfc-v2/,
  });
});

test('rfc-v2 has four exits and three requests', () => {
  assert.deepEqual(
    [44, 45, 46, 47, 48].map((reason) => dsmExitName(defaultProfile, reason)),
    ['KVM_EXIT_DAPIC', 'KVM_EXIT_DSM_SEND_IRQ', 'KVM_EXIT_DSM_X2_ICR', 'KVM_EXIT_DSM_APIC_BASE', undefined],
  );
  assert.deepEqual(defaultProfile.requests, {
    KVM_DSM_IPI: 0x4010_aef3,
    KVM_DSM_X2APIC: 0x4010_aef4,
    KVM_DSM_APIC_BASE: 0x4018_aef5,
  });
  for (const profile of profiles.values()) {
    for (const entry of [...Object.values(profile.exits), ...Object.values(profile.ioctls)]) {
      assert.match(entry.source, /patch|GiantVM/i);
    }
  }
});

test('gvm-main has the numbers of rfc-v2, and ioctls besides; gvm-old has three exits and no destination', () => {
  const main = profileByName('gvm-main');
  assert.deepEqual(main.requests, defaultProfile.requests);
  assert.deepEqual(
    Object.values(main.others ?? {}).map(({ request }) => request),
    [0x4020_aef1, 0x4018_aef2],
  );
  assert.deepEqual(
    [44, 45, 46, 47].map((reason) => dsmExitName(main, reason)),
    [44, 45, 46, 47].map((reason) => dsmExitName(defaultProfile, reason)),
  );
  const old = profileByName('gvm-old');
  assert.deepEqual(
    [40, 41, 42, 43, 44, 45].map((reason) => dsmExitName(old, reason)),
    [undefined, 'KVM_EXIT_DSM_SEND_IRQ', 'KVM_EXIT_DSM_X2_ICR', 'KVM_EXIT_DSM_APIC_BASE', undefined, undefined],
  );
  assert.equal(old.requests.KVM_DSM_IPI, 0x400c_aef3);
  const { argument } = old.ioctls.KVM_DSM_IPI;
  const bytes = argument.encode({ vcpuId: 1, val: 0x310, val2: 5, destId: 7 });
  assert.deepEqual([...new Uint32Array(bytes.buffer)], [1, 0x310, 5]);
  assert.equal(argument.size, 12);
  assert.throws(() => argument.encode({ destId: -1 }), { code: 'ERR_ARGUMENT' });
});

test('fixed-v1 has what rfc-v2 has but exit 44, a fourth exit, and an opt-in', () => {
  const fixed = profileByName('fixed-v1');
  assert.deepEqual(
    [44, 45, 46, 47, 48].map((reason) => dsmExitName(fixed, reason)),
    [undefined, 'KVM_EXIT_DSM_SEND_IRQ', 'KVM_EXIT_DSM_X2_ICR', 'KVM_EXIT_DSM_APIC_BASE', 'KVM_EXIT_DSM_PV_IPI'],
  );
  assert.ok(Object.values(fixed.exits).every(({ emitted }) => emitted));
  assert.deepEqual(fixed.requests, defaultProfile.requests);
  assert.equal(fixed.optIn?.capability, 0x4453);
  assert.equal(optInWords(fixed.optIn!, 7), 'ICR, BASE, PV');
  assert.deepEqual([fixed.injectionChecks, fixed.drains], [true, true]);
});

test('a profile whose opt-in means nothing is refused', () => {
  const fixed = profileByName('fixed-v1');
  const wrong = [{ capability: -1 }, { bits: { ICR: 0 } }, { usual: ['BOTH'] }, { bits: null }];
  for (const part of wrong)
    assert.throws(() => checkProfile({ ...fixed, optIn: { ...fixed.optIn!, ...part } as never }), {
      code: 'ERR_ARGUMENT',
      argument: /^profile\.optIn\./,
    });
});

test('exit reasons are numbered 0 to 43 without a gap, and have names both ways', () => {
  Object.entries(exitReasons).forEach(([name, reason], index) => {
    assert.equal(reason, index);
    assert.equal(exitReasonName(reason), name);
  });
  for (const reason of [44, -1, 0.5, 0xffff_ffff]) assert.equal(exitReasonName(reason), undefined);
  assert.equal(internalErrorName(1), 'KVM_INTERNAL_ERROR_EMULATION');
  assert.equal(internalErrorName(0), undefined);
  assert.equal(systemEventName(3), 'KVM_SYSTEM_EVENT_CRASH');
  assert.equal(systemEventName(8), undefined);
});
