import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeWrmsr } from '../../../lib/script/failure/msr-fault.ts';

test('a WRMSR that faults is told with its value, and the reserved bits of an x2APIC ICR', () => {
  const icr = (rax: bigint) => describeWrmsr({ rcx: 0x830n, rax, rdx: 1n });
  assert.match(icr(0x10_4040n), /WRMSR of 0x100104040 to MSR 0x830, the x2APIC's ICR: reserved bits 0x100000 are set/);
  assert.match(icr(0x6040n), /reserved bits 0x2000/);
  assert.match(icr(0x3_4040n), /reserved bits 0x30000/);
  assert.match(icr(0x5040n), /bit 12 is set/);
  assert.doesNotMatch(icr(0x4040n), /bits?/);
  assert.equal(describeWrmsr({ rcx: 0xffff_ffff_0000_001bn, rax: 2n, rdx: 0n }), 'WRMSR of 0x2 to MSR 0x1b');
});
