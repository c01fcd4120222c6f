/** From an exit to what other nodes are told of it, and to whom. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { decodeIcr, decodeIcr2, decodeX2Icr } from '../../../lib/abi/apic/icr.ts';
import { lapicRegisters } from '../../../lib/abi/apic/lapic.ts';
import type { Exit } from '../../../lib/exit/exit.ts';
import { describeItem, Forward, ipiOfItem, isKick } from '../../../lib/node/forward.ts';
import { ApicMap } from '../../../lib/node/resolve.ts';

const reason = 45;

function wrote(register: 'ICR' | 'ICR2' | 'SELF_IPI', val2: number, destId: number | null = 0): Exit {
  const told = { name: 'KVM_EXIT_DSM_SEND_IRQ', reason, id: 1, val: lapicRegisters[register], val2, destId } as const;
  if (register === 'ICR') return { ...told, register, icr: decodeIcr(val2) };
  return register === 'ICR2' ? { ...told, register, icr2: decodeIcr2(val2) } : { ...told, register };
}

function paravirtual(target: 'apicIds' | 'kick', type: number, base: number, mask: bigint[], data = 0x41): Exit {
  return { name: 'KVM_EXIT_DSM_PV_IPI', reason: 48, id: 1, data, icr: decodeIcr(data), type, target, base, mask };
}

describe('what an exit has sent', () => {
  const read = (exit: Exit) => new Forward().read(exit);

  test('ICR: with the destination that the exit tells, or else with the one that was written before', () => {
    assert.deepEqual(read(wrote('ICR', 0x4041, 3))?.item, { is: 'icr', icr2: 0x0300_0000, icr: 0x4041 });
    const forward = new Forward();
    assert.equal(forward.read(wrote('ICR2', 0x0200_0000)), undefined);
    const sent = forward.read(wrote('ICR', 0x4041, null))!;
    assert.deepEqual([sent.item, sent.ipi.destination], [{ is: 'icr', icr2: 0x0200_0000, icr: 0x4041 }, 2]);
  });

  test('SELF IPI: nobody else has to know, and it is what an ICR with that shorthand would send', () => {
    const { item, ipi } = read(wrote('SELF_IPI', 0x41))!;
    assert.deepEqual(ipiOfItem(1, item)?.command, ipi.command);
    assert.equal(ipi.command.shorthand, 'self');
    assert.deepEqual(new ApicMap([0, 0, 1, 1]).nodes(ipi, 0), []);
  });

  test('ICR of the x2APIC', () => {
    const data = 0x3_0000_0041n;
    const exit: Exit = { name: 'KVM_EXIT_DSM_X2_ICR', reason: 46, id: 1, data, icr: decodeX2Icr(data) };
    assert.deepEqual(read(exit)?.item, { is: 'x2icr', data });
  });

  test('a kick: to the vCPU with that APIC id, and it is no interrupt', () => {
    const { item, ipi } = read(paravirtual('kick', 3, 2, [0n, 0n], 0))!;
    assert.deepEqual([isKick(item), ipi.named], [true, { by: 'apicId', ids: [2] }]);
    assert.equal(describeItem(1, item), 'a kick to APIC id 2');
    const ids = read(paravirtual('apicIds', 0, 1, [0b101n, 0n]))!;
    assert.deepEqual([isKick(ids.item), ids.ipi.named?.ids], [false, [1, 3]]);
    assert.equal(describeItem(1, ids.item), 'vector 0x41 to vCPUs or APIC ids 1, 3');
  });

  test('nothing: an exit that is not of the series', () => {
    assert.equal(read({ name: 'KVM_EXIT_HLT', reason: 5 }), undefined);
  });
});

describe('who takes an interrupt of lowest priority', () => {
  const map = new ApicMap([0, 0, 1, 1]);
  for (const id of [0, 1, 2, 3]) know(id, 0x1ff);

  function know(id: number, svr: number, ldr = 1 << (24 + id)): void {
    map.set(id, { apicBase: 0xfee0_0900n, id: id << 24, ldr, dfr: 0xffff_ffff, svr }, 1);
  }
  const taker = (icr: number, destination: number) => {
    const ipi = { from: 0, command: decodeIcr(icr), destination, mode: 'xapic', seq: null } as const;
    return map.taker(ipi);
  };
  const LOWEST = 0x4900;
  const ALL_BUT_SELF = 0xc_0000;

  test('one of those that it names, by its vector', () => {
    const vectors = [0x40, 0x41, 0x42, 0x43, 0x44];
    assert.deepEqual(
      vectors.map((vector) => taker(LOWEST | vector, 0b1111)),
      [0, 1, 2, 3, 0],
    );
    assert.deepEqual(
      vectors.map((vector) => taker(LOWEST | vector, 0b1010)),
      [1, 3, 1, 3, 1],
    );
    assert.deepEqual(
      vectors.map((vector) => taker((LOWEST & ~0x800) | ALL_BUT_SELF | vector, 0)),
      [2, 3, 1, 2, 3],
    );
  });

  test('one that is off takes none', () => {
    know(1, 0xff);
    assert.equal(taker(LOWEST | 0x40, 0b1010), 3);
    assert.equal(taker(LOWEST | 0x41, 0b0010), undefined);
    know(1, 0x1ff);
  });

  test('nobody in particular: of another mode, or to all by the destination, which KVM gives to each', () => {
    assert.equal(taker(0x4840, 0b1111), undefined);
    assert.equal(taker(0x4140, 0xff), undefined);
    assert.equal(taker(0x4140, 2), 2);
  });
});
