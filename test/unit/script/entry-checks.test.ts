import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kvmRegs, kvmSregs } from '../../../lib/abi/kvm/index.ts';
import {
  describeEntryFailure,
  entryFailureReason,
  failedEntryChecks,
} from '../../../lib/script/failure/entry-checks.ts';

const data = {
  base: 0n,
  limit: 0xffff_ffff,
  selector: 0x10,
  type: 3,
  present: 1,
  dpl: 0,
  db: 1,
  s: 1,
  l: 0,
  g: 1,
  avl: 0,
  unusable: 0,
};
const tr = { ...data, selector: 0, limit: 0xffff, type: 11, s: 0, db: 0, g: 0 };

/** Flat 32-bit protected mode, which every CPU enters, with one thing changed. */
function stateWith(sregs: object, regs: object = {}) {
  const empty = kvmSregs.decode(new Uint8Array(kvmSregs.size));
  const flat = { cs: { ...data, type: 11 }, ss: data, ds: data, es: data, fs: data, gs: data, tr };
  return {
    regs: { ...kvmRegs.decode(new Uint8Array(kvmRegs.size)), rip: 0x1000n, rflags: 2n, ...regs },
    sregs: { ...empty, ...flat, ldt: { ...data, unusable: 1 }, cr0: 0x11n, ...sregs },
  };
}

test('a state that a CPU enters fails no check', () => {
  assert.deepEqual(failedEntryChecks(stateWith({})), []);
  const long = { cr0: 0x8000_0011n, cr4: 0x20n, efer: 0x500n, cs: { ...data, type: 11, db: 0, l: 1 } };
  assert.deepEqual(failedEntryChecks(stateWith(long)), []);
});

test('each check names itself and its section', () => {
  for (const [sregs, regs, says] of [
    [{ cr0: 0x8000_0010n }, {}, /CR0\.PG without CR0\.PE \(SDM 27\.3\.1\.1\)/],
    [{ efer: 0x500n }, {}, /EFER\.LMA without CR0\.PG/],
    [{ cr0: 0x8000_0011n, efer: 0x500n }, {}, /EFER\.LMA without CR4\.PAE/],
    [{ cr0: 0x8000_0011n, efer: 0x100n }, {}, /EFER\.LMA is not EFER\.LME/],
    [{}, { rflags: 0n }, /RFLAGS bit 1 is 0 \(SDM 27\.3\.1\.4\)/],
    [{}, { rflags: 0xan }, /RFLAGS 0xa has a reserved bit/],
    [{ interruptBitmap: [0n, 8n, 0n, 0n] }, {}, /external interrupt is to be injected and RFLAGS\.IF is 0/],
    [{ cs: { ...data, type: 3, dpl: 3 } }, {}, /CS of type 3/],
    [{ cs: { ...data, type: 2 } }, {}, /CS's type is 2/],
    [{ ss: { ...data, dpl: 3 } }, {}, /CS's DPL 0 is not SS's 3/],
    [{ ss: { ...data, type: 1 } }, {}, /SS's type is 1/],
    [{ tr: { ...tr, type: 9 } }, {}, /TR's type is 9/],
    [{ ldt: { ...data, type: 3 } }, {}, /LDTR is usable/],
    [{ ds: { ...data, g: 0 } }, {}, /DS's limit 0xffffffff does not fit its G bit/],
    [{ gdt: { base: 1n << 60n, limit: 0 } }, {}, /GDTR's base .* is not canonical/],
    [{}, { rip: 1n << 33n }, /RIP 0x200000000 has upper bits/],
  ] as const) {
    const failed = failedEntryChecks(stateWith(sregs, regs));
    assert.ok(
      failed.some((one) => says.test(one)),
      `${says}: ${failed}`,
    );
  }
});

test('the hardware reason has a name', () => {
  assert.match(entryFailureReason(0x8000_0021n)!, /invalid guest state/);
  assert.match(entryFailureReason(0x8000_0022n)!, /MSRs/);
  assert.match(entryFailureReason(0xffff_ffff_ffff_ffffn)!, /VMEXIT_INVALID/);
  assert.equal(entryFailureReason(0x1234n), null);
  const told = describeEntryFailure(0x8000_0021n, stateWith({}, { rflags: 0n }));
  assert.match(told, /hardware reason 0x80000021: VM entry failed.*these fail: RFLAGS bit 1 is 0/);
  assert.match(describeEntryFailure(0x8000_0021n, stateWith({})), /pass the checks/);
});
