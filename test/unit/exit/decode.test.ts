/** decodeExit: every exit of x86, from a kvm_run written byte by byte or by the layouts that the C compiler checked. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixedV1 } from '../../../lib/abi/dsm/fixed-v1.ts';
import { gvmMain } from '../../../lib/abi/dsm/gvm-main.ts';
import { gvmOld } from '../../../lib/abi/dsm/gvm-old.ts';
import { rfcV2 } from '../../../lib/abi/dsm/rfc-v2.ts';
import { exitReasons } from '../../../lib/abi/kvm/exit-reason.ts';
import { ipiOf } from '../../../lib/apic/ipi.ts';
import { ArgumentError } from '../../../lib/base/errors.ts';
import { decodeExit } from '../../../lib/exit/decode.ts';
import { forwardsIpi, maskMembers } from '../../../lib/exit/dsm.ts';
import type { Exit, ExitOf } from '../../../lib/exit/exit.ts';
import { describeExit } from '../../../lib/exit/text.ts';
import { PIO_DATA_OFFSET, page, pageWith } from './exit-page.ts';
import * as run from './layouts.ts';

const { KVM_EXIT_DSM_SEND_IRQ, KVM_EXIT_DSM_X2_ICR, KVM_EXIT_DSM_APIC_BASE } = rfcV2.exits;

function words(...values: number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values).buffer);
}

test('KVM_EXIT_DSM_SEND_IRQ: a write of ICR', () => {
  const exit = decodeExit(page(45, words(0, 0x300, 0x40f0, 1)));
  assert.deepEqual(exit, {
    name: 'KVM_EXIT_DSM_SEND_IRQ',
    reason: 45,
    id: 0,
    val: 0x300,
    val2: 0x40f0,
    destId: 1,
    register: 'ICR',
    icr: {
      vector: 0xf0,
      deliveryMode: 'fixed',
      destinationMode: 'physical',
      deliveryStatus: 'idle',
      level: 'assert',
      trigger: 'edge',
      shorthand: 'none',
      reserved: 0,
    },
  });
});

test('KVM_EXIT_DSM_SEND_IRQ: a write of ICR2, and of a register that is neither', () => {
  assert.deepEqual(decodeExit(page(45, words(3, 0x310, 0x0100_0000, 1))), {
    name: 'KVM_EXIT_DSM_SEND_IRQ',
    reason: 45,
    id: 3,
    val: 0x310,
    val2: 0x0100_0000,
    destId: 1,
    register: 'ICR2',
    icr2: { destination: 1, reserved: 0 },
  });
  assert.deepEqual(decodeExit(page(45, words(0, 0x80, 5, 0))), {
    name: 'KVM_EXIT_DSM_SEND_IRQ',
    reason: 45,
    id: 0,
    val: 0x80,
    val2: 5,
    destId: 0,
    register: null,
  });
});

test('KVM_EXIT_DSM_X2_ICR, KVM_EXIT_DSM_APIC_BASE, KVM_EXIT_DAPIC', () => {
  const x2 = decodeExit(
    pageWith(46, KVM_EXIT_DSM_X2_ICR.payload, { id: 2, data: 0x0001_0000_0000_4041n }),
  ) as ExitOf<'KVM_EXIT_DSM_X2_ICR'>;
  assert.deepEqual([x2.name, x2.id, x2.data], ['KVM_EXIT_DSM_X2_ICR', 2, 0x0001_0000_0000_4041n]);
  assert.deepEqual([x2.icr.vector, x2.icr.destination], [0x41, 0x1_0000]);

  const base = { id: 1, host: true, index: 0x1b, data: 0xfee0_0d00n };
  assert.deepEqual(decodeExit(pageWith(47, KVM_EXIT_DSM_APIC_BASE.payload, base)), {
    name: 'KVM_EXIT_DSM_APIC_BASE',
    reason: 47,
    ...base,
  });

  const dapic = decodeExit(page(44, words(7, 0xb0))) as ExitOf<'KVM_EXIT_DAPIC'>;
  assert.equal(dapic.name, 'KVM_EXIT_DAPIC');
  assert.equal(dapic.raw.length, 256);
  assert.deepEqual([dapic.localCpuid, dapic.offset], [7, 0xb0]);
  assert.deepEqual(dapic.raw.subarray(0, 8), words(7, 0xb0));
});

test('fixed-v1: KVM_EXIT_DSM_PV_IPI says whom it is for, and exit 45 may be a write of SELF IPI', () => {
  const fixed = (type: number, base = 0, mask: number[] = []) =>
    decodeExit(page(48, words(3, 0x4045, type, base, ...mask)), fixedV1) as ExitOf<'KVM_EXIT_DSM_PV_IPI'>;
  const exit = fixed(0, 1, [0b101, 0, 1, 0]);
  const { icr, ...rest } = exit;
  assert.deepEqual(rest, {
    name: 'KVM_EXIT_DSM_PV_IPI',
    reason: 48,
    id: 3,
    data: 0x4045,
    type: 0,
    target: 'apicIds',
    base: 1,
    mask: [5n, 1n],
  });
  assert.deepEqual([icr.vector, icr.deliveryMode], [0x45, 'fixed']);
  assert.deepEqual(maskMembers(exit.base, exit.mask), [1, 3, 65]);
  assert.deepEqual(
    [0, 1, 2, 3, 4, 5].map((type) => fixed(type).target),
    ['apicIds', 'vpIndices', 'all', 'kick', 'icr', null],
  );
  assert.equal(decodeExit(page(48)).name, 'unrecognized', 'a number of that profile alone');

  const self = decodeExit(page(45, words(1, 0x3f0, 0x45, 0)), fixedV1) as ExitOf<'KVM_EXIT_DSM_SEND_IRQ'>;
  assert.deepEqual([self.register, self.val2, self.icr], ['SELF_IPI', 0x45, undefined]);
  assert.deepEqual(ipiOf(self)?.command.shorthand, 'self');
  assert.equal(ipiOf(self)?.command.vector, 0x45);
  assert.ok(forwardsIpi(self) && forwardsIpi(exit));
});

test("a profile's numbers are its own, and go before mainline's", () => {
  const moved = {
    ...rfcV2,
    exits: { ...rfcV2.exits, KVM_EXIT_DSM_SEND_IRQ: { ...KVM_EXIT_DSM_SEND_IRQ, reason: 41 } },
  };
  assert.equal(decodeExit(page(41), moved).name, 'KVM_EXIT_DSM_SEND_IRQ');
  assert.equal(decodeExit(page(41)).name, 'KVM_EXIT_ARM_SEA');
  assert.equal(decodeExit(page(45), moved).name, 'unrecognized');
  const high = {
    ...rfcV2,
    exits: { ...rfcV2.exits, KVM_EXIT_DSM_SEND_IRQ: { ...KVM_EXIT_DSM_SEND_IRQ, reason: 0xffff_fffe } },
  };
  assert.equal(decodeExit(page(0xffff_fffe), high).name, 'KVM_EXIT_DSM_SEND_IRQ');
  assert.equal(decodeExit(page(0xffff_fffe)).name, 'unrecognized');
});

test("GiantVM's numbers: the same as the series', and the older ones without a destination", () => {
  const write = words(2, 0x300, 0x40f0, 0xdead_beef);
  assert.deepEqual(decodeExit(page(45, write), gvmMain), decodeExit(page(45, write)));
  const exit = decodeExit(page(41, write), gvmOld);
  assert.ok(exit.name === 'KVM_EXIT_DSM_SEND_IRQ' && exit.register === 'ICR');
  assert.deepEqual([exit.reason, exit.id, exit.destId, exit.icr.vector], [41, 2, null, 0xf0]);
  assert.equal(
    describeExit(exit),
    'KVM_EXIT_DSM_SEND_IRQ: vCPU 2 wrote ICR = 0x000040f0 (fixed vector 0xf0, physical, assert, edge)',
  );
  assert.equal(decodeExit(page(45, write), gvmOld).name, 'unrecognized');
  const x2 = decodeExit(page(42, words(1, 0, 0x4400, 3)), gvmOld);
  assert.ok(x2.name === 'KVM_EXIT_DSM_X2_ICR');
  assert.deepEqual([x2.id, x2.data], [1, 0x3_0000_4400n]);
  assert.equal(decodeExit(page(43, words(1, 0, 0x1b, 0, 0xfee0_0800, 0)), gvmOld).name, 'KVM_EXIT_DSM_APIC_BASE');
  assert.equal(decodeExit(page(41, write)).name, 'KVM_EXIT_ARM_SEA');
});

test('what is no profile is refused, and changes nothing', () => {
  for (const wrong of [null, 'rfc-v2', {}, { exits: {} }] as unknown as (typeof rfcV2)[])
    assert.throws(() => decodeExit(page(45), wrong), ArgumentError);
  const stray = { ...rfcV2, exits: { ...rfcV2.exits, KVM_EXIT_OF_NOBODY: { ...KVM_EXIT_DSM_SEND_IRQ, reason: 5 } } };
  assert.equal(decodeExit(page(5), stray).name, 'KVM_EXIT_HLT', 'an exit that nobody decodes leaves the number alone');
  assert.equal(decodeExit(page(45)).name, 'KVM_EXIT_DSM_SEND_IRQ');
});

test('KVM_EXIT_IO: the data come from the PIO page', () => {
  const view = pageWith(2, run.runIo, {
    direction: 1,
    size: 2,
    port: 0x3f8,
    count: 2,
    dataOffset: BigInt(PIO_DATA_OFFSET),
  });
  view.setUint32(PIO_DATA_OFFSET, 0x4433_2211, true);
  const exit = decodeExit(view) as ExitOf<'KVM_EXIT_IO'>;
  assert.deepEqual(exit, {
    name: 'KVM_EXIT_IO',
    reason: 2,
    direction: 'out',
    size: 2,
    port: 0x3f8,
    count: 2,
    dataOffset: 4096n,
    data: Uint8Array.of(0x11, 0x22, 0x33, 0x44),
  });
  view.setUint32(PIO_DATA_OFFSET, 0, true);
  assert.equal(exit.data[0], 0x11, 'the data are a copy');
  const input = decodeExit(pageWith(2, run.runIo, { direction: 0, size: 1, port: 0x10, count: 1, dataOffset: 4096n }));
  assert.equal((input as ExitOf<'KVM_EXIT_IO'>).direction, 'in');
});

test('KVM_EXIT_IO: what a hostile offset or count reaches ends with the mapping', () => {
  const reach = (dataOffset: bigint, size: number, count: number): number =>
    (decodeExit(pageWith(2, run.runIo, { direction: 1, size, count, dataOffset })) as ExitOf<'KVM_EXIT_IO'>).data
      .length;
  assert.equal(reach(8190n, 1, 100), 2);
  assert.equal(reach(8192n, 1, 1), 0);
  assert.equal(reach(2n ** 64n - 1n, 4, 0xffff_ffff), 0);
  assert.equal(reach(0n, 255, 0xffff_ffff), 8192);
  assert.equal(reach(4096n, 0, 7), 0);
});

test('KVM_EXIT_MMIO: as many bytes as the access has', () => {
  const view = pageWith(6, run.runMmio, {
    physAddr: 0xfee0_0300n,
    data: Uint8Array.of(0xf0, 0x40, 0, 0, 9, 9, 9, 9),
    len: 4,
    isWrite: 1,
  });
  const exit = {
    name: 'KVM_EXIT_MMIO',
    reason: 6,
    physAddr: 0xfee0_0300n,
    len: 4,
    isWrite: true,
    data: Uint8Array.of(0xf0, 0x40, 0, 0),
  };
  assert.deepEqual(decodeExit(view), exit);
  const hostile = decodeExit(pageWith(6, run.runMmio, { len: 0xffff_ffff })) as ExitOf<'KVM_EXIT_MMIO'>;
  assert.deepEqual([hostile.len, hostile.data.length, hostile.isWrite], [0xffff_ffff, 8, false]);
});

test('exits whose payload is one flat struct', () => {
  const args = [1n, 2n, 3n, 4n, 5n, 6n];
  const cases: [DataView, object][] = [
    [pageWith(0, run.runHw, { hardwareExitReason: 77n }), { name: 'KVM_EXIT_UNKNOWN', hardwareExitReason: 77n }],
    [
      pageWith(1, run.runEx, { exception: 13, errorCode: 8 }),
      { name: 'KVM_EXIT_EXCEPTION', exception: 13, errorCode: 8 },
    ],
    [
      pageWith(3, run.runHypercall, { nr: 12n, args, ret: 9n, flags: 1n }),
      { name: 'KVM_EXIT_HYPERCALL', nr: 12n, args, ret: 9n, flags: 1n },
    ],
    [
      pageWith(4, run.runDebug, { exception: 1, pc: 0x1000n, dr6: 0x4000n, dr7: 0x400n }),
      { name: 'KVM_EXIT_DEBUG', exception: 1, pc: 0x1000n, dr6: 0x4000n, dr7: 0x400n },
    ],
    [
      pageWith(9, run.runFailEntry, { hardwareEntryFailureReason: 0x8000_0021n, cpu: 3 }),
      { name: 'KVM_EXIT_FAIL_ENTRY', hardwareEntryFailureReason: 0x8000_0021n, cpu: 3 },
    ],
    [
      pageWith(12, run.runTprAccess, { rip: 0x2000n, isWrite: 1 }),
      { name: 'KVM_EXIT_TPR_ACCESS', rip: 0x2000n, isWrite: true },
    ],
    [pageWith(26, run.runEoi, { vector: 0x31 }), { name: 'KVM_EXIT_IOAPIC_EOI', vector: 0x31 }],
    [
      pageWith(29, run.runMsr, { error: 1, reason: 2, index: 0x1b, data: 5n }),
      { name: 'KVM_EXIT_X86_RDMSR', error: 1, msrReason: 2, index: 0x1b, data: 5n },
    ],
    [
      pageWith(30, run.runMsr, { reason: 4, index: 0x830, data: 2n ** 64n - 1n }),
      { name: 'KVM_EXIT_X86_WRMSR', error: 0, msrReason: 4, index: 0x830, data: 2n ** 64n - 1n },
    ],
    [pageWith(37, run.runNotify, { flags: 1 }), { name: 'KVM_EXIT_NOTIFY', flags: 1 }],
    [
      pageWith(39, run.runMemoryFault, { flags: 8n, gpa: 0x1_0000n, size: 4096n }),
      { name: 'KVM_EXIT_MEMORY_FAULT', flags: 8n, gpa: 0x1_0000n, size: 4096n },
    ],
    [
      pageWith(43, run.runSnpReqCerts, { gpa: 0x3000n, npages: 2n, ret: 1n }),
      { name: 'KVM_EXIT_SNP_REQ_CERTS', gpa: 0x3000n, npages: 2n, ret: 1n },
    ],
  ];
  for (const [view, expected] of cases) {
    assert.deepEqual(decodeExit(view), { reason: view.getUint32(8, true), ...expected });
  }
});

test('KVM_EXIT_SET_TPR: CR8 is in the head of kvm_run', () => {
  const view = page(exitReasons.KVM_EXIT_SET_TPR);
  new run.KvmRunView(view).cr8 = 7n;
  assert.deepEqual(decodeExit(view), { name: 'KVM_EXIT_SET_TPR', reason: 11, cr8: 7n });
});

test('exits that say all with their name', () => {
  for (const name of [
    'KVM_EXIT_HLT',
    'KVM_EXIT_IRQ_WINDOW_OPEN',
    'KVM_EXIT_SHUTDOWN',
    'KVM_EXIT_INTR',
    'KVM_EXIT_NMI',
    'KVM_EXIT_DIRTY_RING_FULL',
    'KVM_EXIT_AP_RESET_HOLD',
    'KVM_EXIT_X86_BUS_LOCK',
  ] as const) {
    assert.deepEqual(decodeExit(page(exitReasons[name])), { name, reason: exitReasons[name] });
  }
});

test('KVM_EXIT_INTERNAL_ERROR: as many words as ndata says', () => {
  const data = Array.from({ length: 16 }, (_, index) => BigInt(index));
  const read = (suberror: number, ndata: number) =>
    decodeExit(pageWith(17, run.runInternal, { suberror, ndata, data })) as ExitOf<'KVM_EXIT_INTERNAL_ERROR'>;
  const delivery = read(3, 4);
  assert.equal(delivery.suberrorName, 'KVM_INTERNAL_ERROR_DELIVERY_EV');
  assert.deepEqual(delivery.data, [0n, 1n, 2n, 3n]);
  assert.equal(delivery.insnBytes, null);
  assert.equal(read(99, 0).suberrorName, null);
  assert.equal(read(99, 0xffff_ffff).data.length, 16);
  assert.equal(read(99, 0).raw.length, 256);
});

test('KVM_EXIT_INTERNAL_ERROR: the instruction that was not emulated', () => {
  const insnBytes = Uint8Array.from({ length: 15 }, (_, index) => index + 1);
  const read = (ndata: number, flags: bigint, insnSize: number) =>
    (
      decodeExit(
        pageWith(17, run.runEmulationFailure, { suberror: 1, ndata, flags, insnSize, insnBytes }),
      ) as ExitOf<'KVM_EXIT_INTERNAL_ERROR'>
    ).insnBytes;
  assert.deepEqual(read(3, 1n, 4), Uint8Array.of(1, 2, 3, 4));
  assert.equal(read(3, 1n, 255)?.length, 15);
  assert.equal(read(3, 0n, 4), null);
  assert.equal(read(0, 1n, 4), null);
});

test('KVM_EXIT_SYSTEM_EVENT', () => {
  const exit = decodeExit(
    pageWith(24, run.runSystemEvent, { type: 3, ndata: 2, data: [5n, 6n, 7n] }),
  ) as ExitOf<'KVM_EXIT_SYSTEM_EVENT'>;
  assert.deepEqual([exit.type, exit.typeName, exit.ndata, exit.data], [3, 'KVM_SYSTEM_EVENT_CRASH', 2, [5n, 6n]]);
  assert.equal((decodeExit(pageWith(24, run.runSystemEvent, { type: 50 })) as typeof exit).typeName, null);
});

test('KVM_EXIT_HYPERV: three types, and one that nobody knows', () => {
  const read = (view: DataView, type: number) => {
    view.setUint32(run.RUN_UNION_OFFSET, type, true);
    return decodeExit(view) as ExitOf<'KVM_EXIT_HYPERV'>;
  };
  const synic = { msr: 0x4000_0083, control: 1n, evtPage: 0x1001n, msgPage: 0x2001n };
  const one = read(pageWith(27, run.runHypervSynic, synic, run.HYPERV_BODY_OFFSET), 1);
  assert.deepEqual([one.type, one.synic, one.hcall, one.syndbg], [1, synic, null, null]);
  const hcall = { input: 0x5cn, result: 0n, params: [1n, 2n] };
  assert.deepEqual(read(pageWith(27, run.runHypervHcall, hcall, run.HYPERV_BODY_OFFSET), 2).hcall, hcall);
  const syndbg = { msr: 0x4000_00f1, control: 1n, status: 2n, sendPage: 3n, recvPage: 4n, pendingPage: 5n };
  assert.deepEqual(read(pageWith(27, run.runHypervSyndbg, syndbg, run.HYPERV_BODY_OFFSET), 3).syndbg, syndbg);
  const other = read(page(27), 4);
  assert.deepEqual([other.synic, other.hcall, other.syndbg, other.raw[0]], [null, null, null, 4]);
});

test('KVM_EXIT_XEN', () => {
  const hcall = { longmode: 1, cpl: 3, input: 17n, result: 0n, params: [1n, 2n, 3n, 4n, 5n, 6n] };
  const view = pageWith(34, run.runXenHcall, hcall, run.XEN_BODY_OFFSET);
  assert.equal((decodeExit(view) as ExitOf<'KVM_EXIT_XEN'>).hcall, null);
  view.setUint32(run.RUN_UNION_OFFSET, 1, true);
  assert.deepEqual((decodeExit(view) as ExitOf<'KVM_EXIT_XEN'>).hcall, hcall);
});

test('KVM_EXIT_TDX: three leaves, and one that nobody knows', () => {
  const call = (nr: bigint) =>
    (decodeExit(pageWith(40, run.runTdx, { nr, ret: 9n, data: [1n, 2n, 3n, 4n, 5n] })) as ExitOf<'KVM_EXIT_TDX'>).call;
  assert.deepEqual(call(0x1_0000n), { leaf: 'getTdVmCallInfo', subleaf: 1n, r11: 2n, r12: 3n, r13: 4n, r14: 5n });
  assert.deepEqual(call(0x1_0002n), { leaf: 'getQuote', gpa: 1n, size: 2n });
  assert.deepEqual(call(0x1_0004n), { leaf: 'setupEventNotify', vector: 1n });
  assert.equal(call(0x1_0005n), null);
});

test('an exit of another architecture keeps its name and its union', () => {
  const union = Uint8Array.from({ length: 256 }, (_, index) => index);
  const exit = decodeExit(page(exitReasons.KVM_EXIT_RISCV_SBI, union)) as ExitOf<'KVM_EXIT_RISCV_SBI'>;
  assert.deepEqual(exit, { name: 'KVM_EXIT_RISCV_SBI', reason: 35, raw: union });
});

test('an unknown reason keeps its number and its union', () => {
  const union = Uint8Array.from({ length: 256 }, (_, index) => 255 - index);
  const view = page(0x1234_5678, union);
  const exit = decodeExit(view) as ExitOf<'unrecognized'>;
  assert.deepEqual(exit, { name: 'unrecognized', reason: 0x1234_5678, raw: union });
  view.setUint8(run.RUN_UNION_OFFSET, 0);
  assert.equal(exit.raw[0], 255, 'raw is a copy');
});

test('every mainline reason decodes under its own name', () => {
  for (const [name, reason] of Object.entries(exitReasons)) assert.equal(decodeExit(page(reason)).name, name);
});

test('a view, a KvmRunView, a view into the middle of a buffer', () => {
  const whole = page(5);
  assert.deepEqual(decodeExit(new run.KvmRunView(whole)), decodeExit(whole));
  const inside = new DataView(new ArrayBuffer(1000), 100, 288);
  inside.setUint32(8, 99, true);
  inside.setUint8(run.RUN_UNION_OFFSET, 0xab);
  const exit: Exit = decodeExit(inside);
  assert.equal(exit.reason, 99);
  assert.equal((exit as ExitOf<'unrecognized'>).raw[0], 0xab);
  assert.throws(() => decodeExit(new DataView(new ArrayBuffer(287))), ArgumentError);
});

test('KvmRunView reads and writes the head of kvm_run in place', () => {
  const view = new run.KvmRunView(new Uint8Array(4096));
  view.requestInterruptWindow = 1;
  view.immediateExit = 1;
  view.cr8 = 3n;
  view.apicBase = 0xfee0_0900n;
  view.kvmValidRegs = 1n;
  view.kvmDirtyRegs = 2n;
  const head = run.kvmRun.read(view.view);
  assert.deepEqual(
    [head.requestInterruptWindow, head.immediateExit, head.cr8, head.apicBase, head.kvmValidRegs, head.kvmDirtyRegs],
    [1, 1, 3n, 0xfee0_0900n, 1n, 2n],
  );
  assert.deepEqual(
    [view.requestInterruptWindow, view.immediateExit, view.cr8, view.apicBase, view.kvmValidRegs, view.kvmDirtyRegs],
    [1, 1, 3n, 0xfee0_0900n, 1n, 2n],
  );
  run.kvmRun.write(view.view, { exitReason: 45, readyForInterruptInjection: 1, ifFlag: 1, flags: 2 });
  assert.deepEqual(
    [view.exitReason, view.readyForInterruptInjection, view.ifFlag, view.flags, view.copyUnion().length],
    [45, 1, 1, 2, 256],
  );
  const { regs } = view.readSyncRegs();
  view.writeSyncRegs({ regs: { ...regs, rip: 0x1000n } });
  assert.equal(view.readSyncRegs().regs.rip, 0x1000n);
  assert.equal(view.view.getBigUint64(run.RUN_SYNC_REGS_OFFSET + 128, true), 0x1000n);
});
