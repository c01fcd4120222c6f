/** The LAPIC's registers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  decodeLapic,
  lapicRegisterName,
  lapicRegisters,
  readLapicRegister,
  writeLapicRegister,
} from '../../../lib/abi/apic/lapic.ts';
import { ArgumentError } from '../../../lib/base/errors.ts';

/**
 * MSR numbers from the SDM, volume 3, table "Local APIC Register Address Map Supported by x2APIC": the register at MSR
 * 0x800 + n is at byte 16 * n of the xAPIC page. No kernel header for user space has either.
 */
const x2apicMsrs: Record<string, number> = {
  ID: 0x802,
  VERSION: 0x803,
  TPR: 0x808,
  PPR: 0x80a,
  EOI: 0x80b,
  LDR: 0x80d,
  SVR: 0x80f,
  ISR0: 0x810,
  ISR7: 0x817,
  TMR0: 0x818,
  TMR7: 0x81f,
  IRR0: 0x820,
  IRR7: 0x827,
  ESR: 0x828,
  LVT_CMCI: 0x82f,
  ICR: 0x830,
  LVT_TIMER: 0x832,
  LVT_THERMAL: 0x833,
  LVT_PMC: 0x834,
  LVT_LINT0: 0x835,
  LVT_LINT1: 0x836,
  LVT_ERROR: 0x837,
  TMICT: 0x838,
  TMCCT: 0x839,
  TDCR: 0x83e,
  SELF_IPI: 0x83f,
};
/** The xAPIC alone has these: table "Local APIC Register Address Map". */
const xapicOnly: Record<string, number> = { APR: 0x90, RRD: 0xc0, DFR: 0xe0, ICR2: 0x310 };

test('every register is at the offset that the SDM gives it', () => {
  const rest: Record<string, number> = { ...lapicRegisters };
  for (const [name, msr] of Object.entries(x2apicMsrs)) {
    assert.equal(rest[name], (msr - 0x800) * 16, name);
    delete rest[name];
  }
  for (const [name, offset] of Object.entries(xapicOnly)) {
    assert.equal(rest[name], offset, name);
    delete rest[name];
  }
  for (const [name, offset] of Object.entries(rest)) {
    const [, series, index] = name.match(/^(ISR|TMR|IRR)([1-6])$/) ?? assert.fail(`${name} is no register of the SDM`);
    const first = lapicRegisters[`${series}0` as 'ISR0'];
    assert.equal(offset, first + Number(index) * 16, name);
  }
});

test('registers by offset', () => {
  assert.equal(lapicRegisterName(0x300), 'ICR');
  assert.equal(lapicRegisterName(0x310), 'ICR2');
  assert.equal(lapicRegisterName(0x304), undefined);
  assert.equal(lapicRegisterName(0x400), undefined);
});

test('a page decodes to registers and vectors', () => {
  const page = new Uint8Array(1024);
  writeLapicRegister(page, 'ID', 0x0300_0000);
  writeLapicRegister(page, 'SVR', 0x1ff);
  writeLapicRegister(page, 'IRR2', 0x0000_0002);
  writeLapicRegister(page, 'IRR7', 0x8001_0000);
  writeLapicRegister(page, 'ISR1', 0x8000_0000);
  writeLapicRegister(page, 'TMR0', 0xffff_ffff);
  const lapic = decodeLapic(page);
  assert.equal(lapic.apicId, 3);
  assert.equal(lapic.softwareEnabled, true);
  assert.deepEqual(lapic.irr, [0x41, 0xf0, 0xff]);
  assert.deepEqual(lapic.isr, [0x3f]);
  assert.deepEqual(
    lapic.tmr,
    Array.from({ length: 32 }, (_, vector) => vector),
  );
  assert.equal(lapic.registers.SVR, 0x1ff);
  assert.equal(readLapicRegister(page, 'IRR7'), 0x8001_0000);
  assert.equal(decodeLapic(new Uint8Array(1024)).softwareEnabled, false);
});

test('every vector is found in the bit of its own', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(255)), (vectors) => {
      const page = new Uint8Array(1024);
      const view = new DataView(page.buffer);
      for (const vector of vectors) {
        const offset = 0x200 + (vector >>> 5) * 16;
        view.setUint32(offset, (view.getUint32(offset, true) | (1 << (vector & 31))) >>> 0, true);
      }
      assert.deepEqual(
        decodeLapic(page).irr,
        vectors.sort((a, b) => a - b),
      );
    }),
  );
});

test('a page that is too short and a value that is too wide are refused', () => {
  assert.throws(() => decodeLapic(new Uint8Array(1023)), ArgumentError);
  assert.throws(() => writeLapicRegister(new Uint8Array(1024), 'TPR', 2 ** 32), ArgumentError);
  assert.throws(() => writeLapicRegister(new Uint8Array(1024), 'TPR', -1), ArgumentError);
});
