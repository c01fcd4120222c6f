/** Which profile a kernel speaks, found out by behaviour. The lab's kernel speaks each, by the parameter kvm.dsm_abi. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { machine, recognizeProfile, UnknownSeriesError } from '../../lib/index.ts';
import { noStockKvm } from '../support/host.ts';

const PARAMETER = '/sys/module/kvm/parameters/dsm_abi';
const speaksOthers = existsSync(PARAMETER);

describe('a kernel of the lab', { skip: !speaksOthers && 'this kernel has no kvm.dsm_abi: the lab has' }, () => {
  const before = speaksOthers ? readFileSync(PARAMETER, 'utf8') : '';

  for (const [name, because] of [
    ['rfc-v2', /makes exit 45 with 0x0, 0x310, 0x5a000000, 0x5a .*KVM_DSM_MEMCPY \(0x4020aef1\) is not known/],
    ['gvm-main', /makes exit 45 with 0x0, 0x310, 0x5a000000, 0x5a .*KVM_DSM_MEMCPY \(0x4020aef1\) is known/],
    ['gvm-old', /makes exit 41 \(KVM_EXIT_ARM_SEA in mainline\) with 0x0, 0x310, 0x5a000000, nothing/],
  ] as const)
    test(`${name} is recognized, and its machines run by it`, async () => {
      try {
        writeFileSync(PARAMETER, name);
        const { profile, because: why } = recognizeProfile();
        assert.equal(profile.name, name);
        assert.match(why, because);
        const m = await machine({ vcpus: 2, profile });
        m.dsmIpi({ vcpuId: 1, val: 0x310, val2: 0x0700_0000, destId: null });
        assert.equal(m.vcpu(1).vcpu.lapic().registers.ICR2, 0x0700_0000, 'whatever the ioctl answers');
      } finally {
        writeFileSync(PARAMETER, before.trim());
      }
    });
});

test('a kernel without the series is told with what it did', { skip: noStockKvm }, () => {
  let error: unknown;
  try {
    recognizeProfile();
  } catch (thrown) {
    error = thrown;
  }
  if (error === undefined) return;
  assert.ok(error instanceof UnknownSeriesError, String(error));
  assert.equal(error.code, 'ERR_UNKNOWN_SERIES');
  assert.equal(error.exitCode, 3);
  assert.match(error.message, /none of the profiles rfc-v2, .*\n.*no exit comes of a write of ICR2/);
  assert.match(error.message, /KVM_CAP_X86_DSM \(249\) is 0/);
});
