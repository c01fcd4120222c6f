import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { decodeX2Icr } from '../../../lib/abi/apic/icr.ts';
import { fixedV1 } from '../../../lib/abi/dsm/fixed-v1.ts';
import { RUN_UNION_OFFSET } from '../../../lib/abi/kvm/kvm-run.ts';
import { dsmExits } from '../../../lib/exit/dsm.ts';
import {
  ArgumentError,
  decodeIcr,
  decodeIcr2,
  type Exit,
  ExpectationError,
  type GuestWord,
  isExit,
  NotReceivedError,
  Trace,
} from '../../../lib/index.ts';
import type { DeliveryTarget } from '../../../lib/picture/target.ts';
import { expectExactlyOnce } from '../../../lib/script/expect/deliveries.ts';

function write(seq: number, val: number, val2: number): Exit {
  const icr = val === 0x300 ? { icr: decodeIcr(val2) } : { icr2: decodeIcr2(val2) };
  const register = val === 0x300 ? 'ICR' : 'ICR2';
  return {
    name: 'KVM_EXIT_DSM_SEND_IRQ',
    reason: 45,
    id: 0,
    val,
    val2,
    destId: seq,
    register,
    ...icr,
  } as unknown as Exit;
}

function traceOf(...exits: Exit[]): Trace {
  const trace = new Trace();
  exits.forEach((exit, seq) => {
    trace.record({ seq, ns: seq * 10, vcpu: 0, rip: BigInt(0x1000 + seq), exit });
  });
  return trace;
}

const hlt = { name: 'KVM_EXIT_HLT', reason: 5 } as Exit;
const trace = traceOf(write(0, 0x310, 0), hlt, write(2, 0x300, 0x40f0));

function failure(check: () => void): ExpectationError {
  try {
    check();
  } catch (error) {
    assert.ok(error instanceof ExpectationError);
    assert.equal(error.code, error instanceof NotReceivedError ? 'ERR_NOT_RECEIVED' : 'ERR_EXPECTATION');
    return error;
  }
  return assert.fail('nothing was thrown');
}

test('exits of the named kinds, in order; others may lie between them', () => {
  trace.expect([
    { name: 'KVM_EXIT_DSM_SEND_IRQ', register: 'ICR2', rip: 0x1000n },
    { name: 'KVM_EXIT_DSM_SEND_IRQ', register: 'ICR', icr: { vector: 0xf0, trigger: 'edge' }, vcpu: 0 },
  ]);
  trace.expect([{ name: 'KVM_EXIT_HLT' }]);
  trace.expectNone('KVM_EXIT_SHUTDOWN');
});

test('one that is missing', () => {
  const want = { name: 'KVM_EXIT_DSM_SEND_IRQ' } as const;
  const error = failure(() => trace.expect([want, want, { ...want, destId: 7 }]));
  assert.match(error.message, /^expected 3 exits, got 2: KVM_EXIT_DSM_SEND_IRQ, destId 7 is missing/);
});

test('one too many', () => {
  const error = failure(() => trace.expect([{ name: 'KVM_EXIT_DSM_SEND_IRQ' }]));
  assert.match(error.message, /^expected 1 exit, got 2/);
  assert.match(error.message, /^! - +\| #2 vCPU 0 rip 0x1002/m);
});

test('the wrong order, the wrong field, the wrong field of the register', () => {
  const [icr2, icr] = [
    { name: 'KVM_EXIT_DSM_SEND_IRQ', register: 'ICR2' } as const,
    { name: 'KVM_EXIT_DSM_SEND_IRQ', register: 'ICR', icr: { vector: 0x41 } } as const,
  ];
  assert.match(failure(() => trace.expect([icr, icr2])).message, /^exit 1 of 2 differs: register is "ICR2"/);
  assert.match(
    failure(() => trace.expect([icr2, icr])).message,
    /^exit 2 of 2 differs: icr\.vector is 0xf0, expected 0x41; it is #2/,
  );
  assert.match(failure(() => trace.expect([{ ...icr2, vcpu: 1 }, icr2])).message, /vcpu is 0, expected 1/);
});

test('one that should not have come', () => {
  const error = failure(() => trace.expectNone('KVM_EXIT_HLT'));
  assert.deepEqual([error.kinds, error.seen], [['KVM_EXIT_HLT'], 1]);
});

test('in this order, whatever lies between', () => {
  const icr2 = { name: 'KVM_EXIT_DSM_SEND_IRQ', register: 'ICR2' } as const;
  const icr = { name: 'KVM_EXIT_DSM_SEND_IRQ', register: 'ICR' } as const;
  trace.expectInOrder([icr2, icr]);
  trace.expectInOrder([{ name: 'KVM_EXIT_HLT' }, icr]);
  assert.match(
    failure(() => trace.expectInOrder([icr, icr2])).message,
    /^2 of 2: KVM_EXIT_DSM_SEND_IRQ, register "ICR2" did not come after KVM_EXIT_DSM_SEND_IRQ, register "ICR"; it came before, as #0/,
  );
  assert.match(failure(() => trace.expectInOrder([icr, icr])).message, /^2 of 2: .*did not come after/);
  const missing = failure(() => trace.expectInOrder([{ name: 'KVM_EXIT_MMIO' }]));
  assert.match(missing.message, /^1 of 1: KVM_EXIT_MMIO did not come at all\n.*none of these kinds/s);
});

test('how many, by any field', () => {
  trace.expectCount({ name: 'KVM_EXIT_DSM_SEND_IRQ' }, 2);
  trace.expectCount({ name: 'KVM_EXIT_DSM_SEND_IRQ', destId: 2, vcpu: 0 }, 1);
  trace.expectCount({ name: 'KVM_EXIT_DSM_SEND_IRQ', vcpu: 1 }, 0);
  const error = failure(() => trace.expectCount({ name: 'KVM_EXIT_DSM_SEND_IRQ', destId: 2 }, 2));
  assert.match(error.message, /^expected 2 exits of KVM_EXIT_DSM_SEND_IRQ, destId 2, got 1\n\n {2}#2 /);
  assert.deepEqual([error.kinds, error.seen], [['KVM_EXIT_DSM_SEND_IRQ'], 1]);
});

test('none that is as described', () => {
  trace.expectNone({ name: 'KVM_EXIT_DSM_SEND_IRQ', destId: 1 });
  assert.match(failure(() => trace.expectNone({ name: 'KVM_EXIT_DSM_SEND_IRQ', destId: 2 })).message, /#2 vCPU 0/);
});

const out = { name: 'KVM_EXIT_IO', reason: 2 } as Exit;

function spoken(...said: GuestWord[]): Trace {
  const told = new Trace();
  said.forEach((word, seq) => {
    told.record({ seq, ns: seq, vcpu: seq % 2, rip: 0n, exit: out, word });
  });
  return told;
}

test('what guests say', () => {
  const told = spoken(
    { kind: 'sync', name: 'ready' },
    { kind: 'value', name: 'count', value: 3 },
    { kind: 'fault', vector: 13 },
    { kind: 'done' },
  );
  told.expect([{ sync: 'ready', vcpu: 0 }, { value: 'count', is: 3 }, { fault: '#GP' }, { done: true, vcpu: 1 }]);
  told.expect([{ sync: 'ready' }]);
  told.expectInOrder([{ sync: 'ready' }, { fault: 13 }]);
  told.expectCount({ name: 'KVM_EXIT_IO' }, 4);
  told.expectNone({ sync: 'late' });
  assert.match(failure(() => told.expect([{ value: 'count', is: 4 }])).message, /is is 3, expected 4/);
  assert.match(failure(() => told.expect([{ fault: '#UD' }])).message, /fault is "#GP", expected "#UD"/);
  assert.throws(() => told.expect([{ fault: '#XX' }]), { code: 'ERR_ARGUMENT' });
  assert.throws(() => told.expect([{} as { done: true }]), { code: 'ERR_ARGUMENT' });
});

test('a mismatch says nothing of a field that is as expected, or that there is not', () => {
  const told = spoken({ kind: 'fault', vector: 13 }, { kind: 'done' });
  assert.match(
    failure(() => told.expect([{ fault: 13, vcpu: 1 }])).message,
    /^exit 1 of 1 differs: vcpu is 0, expected 1; it is #0\n/,
  );
  assert.match(
    failure(() => told.expect([{ done: true, vcpu: 0 }, { sync: 'on' }, { fault: 6 }])).message,
    /^expected 3 exits, got 2|^exit 1 of 3 differs: #0 vCPU 0 rip 0x0 {2}fault vector 0xd, expected done true, vcpu 0/,
  );
  const written = traceOf({
    name: 'KVM_EXIT_MMIO',
    reason: 6,
    physAddr: 0n,
    isWrite: true,
    len: 2,
    data: Uint8Array.of(1, 0xab),
  } as unknown as Exit);
  assert.match(
    failure(() => written.expect([{ name: 'KVM_EXIT_MMIO', data: Uint8Array.of(1, 2) }])).message,
    /data is bytes 01 ab, expected bytes 01 02/,
  );
});

test('a list says what it leaves out', () => {
  const icr = { name: 'KVM_EXIT_DSM_SEND_IRQ', register: 'ICR', icr: { vector: 0x41 } } as const;
  const { message } = failure(() => trace.expect([icr]));
  assert.match(message, /\n {2}1 exit of other kinds not shown$/);
  assert.match(failure(() => trace.expectInOrder([icr])).message, /\n {2}1 exit of other kinds not shown$/);
  assert.doesNotMatch(failure(() => traceOf(hlt).expect([icr, { name: 'KVM_EXIT_HLT' }])).message, /not shown/);
  const many = [...new Array(20).fill({ name: 'KVM_EXIT_HLT' }), { name: 'KVM_EXIT_SHUTDOWN' }] as const;
  const long = failure(() => traceOf(...new Array<Exit>(20).fill(hlt)).expectInOrder([...many])).message;
  assert.match(long, /\n {2}17 before\n(?: {2}KVM_EXIT_HLT\n){3}! KVM_EXIT_SHUTDOWN\n/);
});

test('injections and kicks are in the trace, and are no exits', () => {
  const acted = traceOf(hlt);
  acted.record({ seq: 1, ns: 20, act: 'injection', ioctl: 'KVM_NMI', vcpu: 1, detail: 'NMI' });
  assert.equal(acted.length, 1);
  assert.deepEqual(
    acted.events.map((event) => isExit(event)),
    [true, false],
  );
  assert.match(acted.toString(), /#1 vCPU 1 injection {2}KVM_NMI NMI$/);
});

/** A vCPU that took these interrupts; flat logical id 1 << id. */
function target(id: number, interrupts: Record<number, number>): DeliveryTarget {
  const apic = {
    vcpu: id,
    apicId: id,
    mode: 'xapic',
    ldr: (1 << (24 + id)) >>> 0,
    dfr: 0xffff_ffff,
    enabled: true,
  } as const;
  return { apic, interrupts: new Map(Object.entries(interrupts).map(([v, n]) => [Number(v), n])) };
}

function sends(...icrs: { icr: number; to?: number; from?: number }[]): Trace {
  return traceOf(
    ...icrs.map(({ icr, to = 0, from = 0 }) => ({ ...write(0, 0x300, icr), destId: to, id: from }) as Exit),
  );
}

test('exactly once: what was sent against what was handled', () => {
  const sent = sends(
    { icr: 0x4041, to: 1 },
    { icr: 0x4041, to: 1 },
    { icr: 0xc_4050, from: 1 },
    { icr: 0x4846, to: 6 },
  );
  const right = [target(0, { 80: 1 }), target(1, { 65: 2, 70: 1 }), target(2, { 80: 1, 70: 1, 2: 9 })];
  expectExactlyOnce(sent, right);
  const lost = failure(() => expectExactlyOnce(sent, [right[0]!, target(1, { 65: 1, 70: 1 }), right[2]!]));
  assert.match(
    lost.message,
    /^vCPU 1 handled vector 0x41 once, and 2 times it was sent there: not judged, since one that/,
  );
  assert.match(lost.message, /! vCPU 1 {2}vector 0x41 {2}sent 2 {2}handled 1/);
  const twice = failure(() => expectExactlyOnce(sent, [target(0, { 80: 2 }), right[1]!, right[2]!]));
  assert.match(twice.message, /^vCPU 0 handled vector 0x50 2 times, and once it was sent there/);
  const unsent = [target(0, { 80: 1, 153: 1 }), right[1]!, right[2]!];
  assert.match(failure(() => expectExactlyOnce(sent, unsent)).message, /^vCPU 0 handled vector 0x99 once, and 0 times/);
  expectExactlyOnce(sent, unsent, [0x50, 0x41, 0x46]);
});

test('exactly once: what a paravirtual interface sends', () => {
  const pv = (icr: number, type: number, base = 0, mask = [0n, 0n]): Trace => {
    const view = new DataView(new ArrayBuffer(288));
    const { KVM_EXIT_DSM_PV_IPI: exit } = fixedV1.exits;
    const fields = { id: 0, icr, type, base, mask };
    new Uint8Array(view.buffer).set(exit.payload.encode(fields), RUN_UNION_OFFSET);
    return traceOf(dsmExits.KVM_EXIT_DSM_PV_IPI.decoder(exit.payload)(view, exit.reason));
  };
  const [none, one] = [{}, { 65: 1 }];
  const machine = (...handled: Record<number, number>[]) => handled.map((counts, id) => target(id, counts));
  // APIC ids and VP indices that a mask has, counted from the base.
  for (const type of [0, 1]) expectExactlyOnce(pv(0x41, type, 1, [0b11n, 0n]), machine(none, one, one));
  expectExactlyOnce(pv(0x41, 0, 0, [0n, 1n]), [{ ...target(5, one), apic: { ...target(5, one).apic, apicId: 64 } }]);
  // Lowest priority is no choice here: KVM gives it to each.
  expectExactlyOnce(pv(0x141, 0, 0, [0b101n, 0n]), machine(one, none, one));
  expectExactlyOnce(pv(0x41, 2), machine(one, one, one));
  // Hyper-V's ICR: by destination, mode and shorthand as ever.
  expectExactlyOnce(pv(0x841, 4, 0b110), machine(none, one, one));
  expectExactlyOnce(pv(0xc_0041, 4), machine(none, one, one));
  const lost = failure(() => expectExactlyOnce(pv(0x41, 0, 1, [0b11n, 0n]), machine(none, none, one)));
  assert.match(lost.message, /^vCPU 1 .*0x41/);
  const more = failure(() => expectExactlyOnce(pv(0x41, 1, 1, [0b10n, 0n]), machine(none, one, one)));
  assert.match(more.message, /^vCPU 1 handled vector 0x41 once, and 0 times/);
  // A kick is no interrupt.
  const kick = failure(() => expectExactlyOnce(pv(0, 3, 1), machine(none, none)));
  assert.match(kick.message, /nothing is shown/);
});

test('exactly once: every way to name a destination', () => {
  const all = (id: number) => target(id, { 97: 1 });
  const none = (id: number) => target(id, {});
  const changed = (one: DeliveryTarget, change: Partial<DeliveryTarget['apic']>): DeliveryTarget => ({
    ...one,
    apic: { ...one.apic, ...change },
  });
  const cluster = (id: number, ldr: number, taken: boolean): DeliveryTarget =>
    changed(taken ? all(id) : none(id), { ldr: (ldr << 24) >>> 0, dfr: 0x0fff_ffff });
  expectExactlyOnce(sends({ icr: 0x4061, to: 0xff }), [all(0), all(1)]);
  expectExactlyOnce(sends({ icr: 0x4_4061, to: 1 }), [all(0), none(1)]);
  expectExactlyOnce(sends({ icr: 0x8_4061 }), [all(0), all(1)]);
  expectExactlyOnce(sends({ icr: 0x4861, to: 0x23 }), [
    cluster(0, 0x21, true),
    cluster(1, 0x22, true),
    cluster(2, 0x11, false),
  ]);
  const byX2apic = (data: bigint) =>
    traceOf({ name: 'KVM_EXIT_DSM_X2_ICR', reason: 46, id: 0, data, icr: decodeX2Icr(data) });
  const wide = (one: DeliveryTarget, apicId: number) => changed(one, { mode: 'x2apic', apicId });
  expectExactlyOnce(byX2apic(0x0001_0001_0000_4861n), [wide(none(0), 0), wide(all(1), 16), wide(none(2), 17)]);
  expectExactlyOnce(byX2apic(0x0000_012c_0000_4061n), [wide(none(0), 0), wide(all(1), 300)]);
  const lost = failure(() => expectExactlyOnce(byX2apic(0x0000_012c_0000_4061n), [wide(none(0), 300)]));
  assert.match(lost.message, /^vCPU 0 handled vector 0x61 0 times, and once it was sent there/);
  // A broadcast does not mean one whose APIC is off; what names it alone is lost.
  const off = changed(none(1), { enabled: false });
  expectExactlyOnce(sends({ icr: 0x8_4061 }), [all(0), off]);
  expectExactlyOnce(sends({ icr: 0x4061, to: 0xff }), [all(0), off]);
  assert.match(
    failure(() => expectExactlyOnce(sends({ icr: 0x4061, to: 1 }), [none(0), off])).message,
    /^vCPU 1 handled/,
  );
  const nothing = failure(() => expectExactlyOnce(sends(), [none(0)]));
  assert.match(nothing.message, /nothing is shown/);
  assert.throws(
    () => expectExactlyOnce(sends({ icr: 0x4400, to: 1 }), [none(0), target(1, { 2: 1 })]),
    /nothing is shown/,
  );
});

/** What is refused before anything is compared: argument, and what it advises. */
function refused(check: () => void): [string, string] {
  try {
    check();
  } catch (error) {
    assert.ok(error instanceof ArgumentError, String(error));
    return [error.argument, error.advice];
  }
  return assert.fail('nothing was refused');
}

// biome-ignore lint/suspicious/noExplicitAny: these are what the types refuse.
const odd = (value: unknown): any => value;

test('an exit that no KVM has is refused by every expectation, and by named()', () => {
  const mistyped = 'KVM_EXIT_DSM_SENT_IRQ';
  const meant = ['name', 'Did you mean KVM_EXIT_DSM_SEND_IRQ?'];
  assert.deepEqual(
    refused(() => trace.expectNone(odd(mistyped))),
    meant,
  );
  assert.deepEqual(
    refused(() => trace.expectNone(odd({ name: mistyped }))),
    meant,
  );
  assert.deepEqual(
    refused(() => trace.expectCount(odd({ name: mistyped }), 0)),
    meant,
  );
  assert.deepEqual(
    refused(() => trace.expect(odd([{ name: 'KVM_EXIT_HLT' }, { name: mistyped }]))),
    meant,
  );
  assert.deepEqual(
    refused(() => trace.expectInOrder(odd([{ name: mistyped }]))),
    meant,
  );
  assert.deepEqual(
    refused(() => void trace.named(odd(mistyped))),
    meant,
  );
  assert.deepEqual(
    refused(() => trace.expectNone(odd('kvm_exit_hlt'))),
    ['name', 'Did you mean KVM_EXIT_HLT?'],
  );
  for (const name of ['typo', '', 'toString', 5, null, undefined])
    assert.equal(refused(() => trace.expectNone(odd(name)))[0], name === null ? 'unwanted' : 'name');
  trace.expectNone('unrecognized');
  assert.deepEqual(trace.named('KVM_EXIT_DIRTY_RING_FULL'), []);
});

test('a field that the exit does not have is refused, with where it stands', () => {
  const irq = (fields: object) => () => trace.expectNone(odd({ name: 'KVM_EXIT_DSM_SEND_IRQ', ...fields }));
  assert.deepEqual(refused(irq({ vector: 0x40 })), ['vector', 'Did you mean icr.vector?']);
  assert.deepEqual(refused(irq({ destID: 1 })), ['destID', 'Did you mean destId?']);
  assert.deepEqual(refused(irq({ icr: { vektor: 1 } })), ['icr.vektor', 'Did you mean vector?']);
  assert.equal(refused(irq({ is: 1 }))[0], 'is');
  assert.equal(refused(() => trace.expectNone(odd({ name: 'KVM_EXIT_HLT', port: 1 })))[0], 'port');
  assert.equal(refused(() => trace.expectNone(odd({ sync: 'ready', name: 'KVM_EXIT_IO' })))[0], 'name');
  assert.equal(refused(() => trace.expectNone(odd({ value: 'x', equals: 3 })))[0], 'equals');
  assert.deepEqual(
    refused(() => trace.expectNone(odd({ nam: 'KVM_EXIT_IO' }))),
    ['unwanted', 'Did you mean name?'],
  );
});

test('a value that the field never has is refused', () => {
  const never = [
    { name: 'KVM_EXIT_MMIO', isWrite: 1 },
    { name: 'KVM_EXIT_MMIO', physAddr: 0xd000_0000 },
    { name: 'KVM_EXIT_MMIO', data: [1] },
    { name: 'KVM_EXIT_MMIO', len: undefined },
    { name: 'KVM_EXIT_IO', direction: 'write' },
    { name: 'KVM_EXIT_IO', port: 0x1_0000 },
    { name: 'KVM_EXIT_IO', port: '0x10' },
    { name: 'KVM_EXIT_DSM_SEND_IRQ', register: 'ICR3' },
    { name: 'KVM_EXIT_DSM_SEND_IRQ', icr: 0x4040 },
    { name: 'KVM_EXIT_DSM_SEND_IRQ', icr: { vector: 0x140 } },
    { name: 'KVM_EXIT_DSM_SEND_IRQ', icr: { deliveryMode: 'Fixed' } },
    { name: 'KVM_EXIT_INTERNAL_ERROR', suberrorName: 'KVM_INTERNAL_ERROR' },
    { name: 'KVM_EXIT_HLT', vcpu: '0' },
    { name: 'KVM_EXIT_HLT', rip: 0x1000 },
    { sync: {} },
    { value: 'x', is: -1 },
    { done: false },
    { fault: 256 },
  ];
  for (const want of never) {
    refused(() => trace.expectNone(odd(want)));
    refused(() => trace.expectCount(odd(want), 0));
    refused(() => trace.expectInOrder(odd([want])));
  }
});

test('an empty list expects nothing of anything: it is refused', () => {
  assert.match(refused(() => trace.expect([]))[1], /expectNone\(\)/);
  assert.match(refused(() => trace.expectInOrder([]))[1], /expectCount\(what, 0\)/);
});

test('bytes are compared as bytes, a Buffer too; an exit as it came expects itself', () => {
  const io = { name: 'KVM_EXIT_IO', reason: 2, direction: 'out', size: 1, port: 16, count: 1, dataOffset: 0n } as const;
  const written = traceOf({ ...io, data: Uint8Array.of(1, 2) });
  written.expect([{ name: 'KVM_EXIT_IO', data: Buffer.from([1, 2]) }]);
  written.expect([...written].map(({ exit }) => exit));
  failure(() => written.expect([{ name: 'KVM_EXIT_IO', data: Uint8Array.of(1) }]));
});

describe('exactly once: what is no accusation', () => {
  const one = sends({ icr: 0x4041, to: 1 });
  const not = (judged: string) => new RegExp(`^vCPU 1 handled vector 0x41 .*: not judged, since .*${judged}`);
  const message = (check: () => void) => failure(check).message;

  test('one that was lost is one, and an error of its own', () => {
    const lost = failure(() => expectExactlyOnce(one, [target(1, {})]));
    assert.ok(lost instanceof NotReceivedError);
    assert.deepEqual([lost.vcpuId, lost.vector, lost.seen], [1, 0x41, 1]);
    assert.match(lost.advice, /local APIC was on when it came/);
    const twice = failure(() => expectExactlyOnce(one, [target(1, { 65: 2 })]));
    assert.ok(!(twice instanceof NotReceivedError), 'one too many was received');
    assert.match(
      message(() => expectExactlyOnce(one, [target(1, {})])),
      /0 times, and once it was sent there: sent, but not received\n/,
    );
  });

  test('one that waits in IRR, or is in service', () => {
    const waiting = { ...target(1, {}), waiting: new Set([0x41]) };
    assert.match(
      message(() => expectExactlyOnce(one, [waiting])),
      not('one waits there'),
    );
    assert.match(
      message(() => expectExactlyOnce(one, [{ ...waiting, waiting: new Set([0x42]) }])),
      /sent there: sent, but not received\n/,
    );
  });

  test('two of one vector that may have become one', () => {
    const two = sends({ icr: 0x4041, to: 1 }, { icr: 0x4041, to: 1 });
    assert.match(
      message(() => expectExactlyOnce(two, [target(1, { 65: 1 })])),
      not('becomes one with it'),
    );
    assert.match(
      message(() => expectExactlyOnce(two, [target(1, {})])),
      /0 times, and 2 times it was sent there: sent, but not received\n/,
    );
  });

  test('an APIC that is off', () => {
    const { apic } = target(1, {});
    const off = { ...target(1, {}), apic: { ...apic, enabled: false } };
    assert.match(
      message(() => expectExactlyOnce(one, [off])),
      not('its local APIC is off'),
    );
  });

  test('a vector that the program handles itself', () => {
    const own = { ...target(1, {}), uncounted: (vector: number) => (vector === 0x41 ? 'it is its own' : undefined) };
    assert.match(
      message(() => expectExactlyOnce(one, [own])),
      not('it is its own'),
    );
    assert.match(
      message(() => expectExactlyOnce(sends({ icr: 0x4042, to: 1 }), [own])),
      /sent there: sent, but not received\n/,
    );
  });

  test('a vector that a timer has as well: too many, and not too few', () => {
    const timer = { ...target(1, { 65: 2 }), source: () => 'its LVT_TIMER has that vector as well' };
    assert.match(
      message(() => expectExactlyOnce(one, [timer])),
      not('LVT_TIMER'),
    );
    assert.match(
      message(() => expectExactlyOnce(one, [{ ...timer, interrupts: new Map() }])),
      /sent there: sent, but not received\n/,
    );
    assert.match(
      message(() => expectExactlyOnce(one, [target(1, { 65: 2 })])),
      /2 times, and once it was sent there\n/,
    );
  });

  test('what the script itself gave', () => {
    const acted = sends({ icr: 0x4041, to: 1 });
    acted.record({ seq: 1, ns: 1, act: 'injection', ioctl: 'KVM_INTERRUPT', vcpu: 1, vector: 0x41, detail: '' });
    const msi = { addressLo: 0xfee0_1000, addressHi: 0, data: 0x41 };
    acted.record({
      seq: 2,
      ns: 2,
      act: 'injection',
      ioctl: 'KVM_SIGNAL_MSI',
      message: msi,
      delivered: true,
      detail: '',
    });
    expectExactlyOnce(acted, [target(1, { 65: 3 })]);
    assert.match(
      message(() => expectExactlyOnce(acted, [target(1, { 65: 1 })])),
      not('the script gave it'),
    );
    // By a node, and the vCPU's own exit has told of it.
    const given = sends({ icr: 0x4041, to: 1 });
    given.record({
      ...{ seq: 1, ns: 1, act: 'injection', ioctl: 'KVM_SIGNAL_MSI', detail: '', replayOf: 0 },
      message: msi,
      delivered: true,
    });
    expectExactlyOnce(given, [target(1, { 65: 1 })]);
    const line = sends({ icr: 0x4041, to: 1 });
    line.record({ seq: 1, ns: 1, act: 'injection', ioctl: 'KVM_IRQ_LINE', gsi: 4, level: true, detail: '' });
    assert.match(
      message(() => expectExactlyOnce(line, [target(1, { 65: 2 })])),
      not('an interrupt line'),
    );
    const replay = sends({ icr: 0x4041, to: 1 });
    const again = { vcpuId: 0, val: 0x300, val2: 0x4041, destId: 0 };
    replay.record({ seq: 1, ns: 1, act: 'injection', ioctl: 'KVM_DSM_IPI', vcpu: 0, write: again, detail: '' });
    assert.match(
      message(() => expectExactlyOnce(replay, [target(0, {}), target(1, { 65: 2 })])),
      not('replayed the write'),
    );
  });

  test('the write of a vCPU that runs in another process is what that vCPU has sent', () => {
    const trace = sends({ icr: 0x4041, to: 1 });
    const others = (seq: number, val: number, val2: number) =>
      trace.record({
        ...{ seq, ns: seq, act: 'injection', ioctl: 'KVM_DSM_IPI', vcpu: 2, detail: '' },
        write: { vcpuId: 2, val, val2, destId: 0 },
      });
    others(2, 0x310, 0x0100_0000);
    others(3, 0x300, 0x4041);
    others(4, 0x300, 0xc_4042);
    const here = (count: number) => [target(0, { 66: 1 }), target(1, { 65: count, 66: 1 })];
    expectExactlyOnce(trace, here(2));
    assert.match(
      message(() => expectExactlyOnce(trace, here(3))),
      /vCPU 1 handled vector 0x41 3 times, and 2 times it was sent there/,
    );
  });

  test('whom an IPI names is asked of the APICs as they were at the end of its run', () => {
    const logical = sends({ icr: 0x4841, to: 2 });
    const { apic } = target(1, {});
    const elsewhere = { ...apic, ldr: 0 };
    const then = [
      { seq: 0, apic },
      { seq: 1, apic },
    ];
    // It names another one now: that is nothing to an IPI of then.
    expectExactlyOnce(logical, [{ ...target(1, { 65: 1 }), apic: elsewhere, earlier: then }]);
    assert.match(
      message(() => expectExactlyOnce(logical, [{ ...target(1, {}), apic: elsewhere, earlier: then }])),
      /0 times, and once it was sent there: sent, but not received\n/,
    );
    // The guest gave itself the logical id in that run, before the IPI or after it.
    const during = [
      { seq: 0, apic: elsewhere },
      { seq: 1, apic },
    ];
    expectExactlyOnce(logical, [{ ...target(1, { 65: 1 }), earlier: during }]);
    assert.match(
      message(() => expectExactlyOnce(logical, [{ ...target(1, {}), earlier: during }])),
      not('was changed'),
    );
  });

  test('vectors that no IPI can have, and none at all, are refused', () => {
    for (const vectors of [[], [2], [256], ['0x41']])
      assert.ok(refused(() => expectExactlyOnce(one, [], odd(vectors))));
  });
});

describe('exactly once: lowest priority goes to one of those that are named', () => {
  const lowest = (...more: { icr: number; to?: number }[]) => sends({ icr: 0x4951, to: 6 }, ...more);

  test('whichever it is', () => {
    expectExactlyOnce(lowest(), [target(0, {}), target(1, { 81: 1 }), target(2, {})]);
    expectExactlyOnce(lowest(), [target(0, {}), target(1, {}), target(2, { 81: 1 })]);
  });

  test('none, both, and one that is not named are wrong', () => {
    const wrong = [
      [{}, {}, {}],
      [{}, { 81: 1 }, { 81: 1 }],
      [{ 81: 1 }, {}, {}],
    ];
    for (const counts of wrong)
      assert.match(
        failure(() =>
          expectExactlyOnce(
            lowest(),
            counts.map((count, id) => target(id, count)),
          ),
        ).message,
        /^vCPU \d handled vector 0x51 /,
      );
  });

  test('together with others of the vector, shared out so that all fit', () => {
    const mixed = lowest({ icr: 0x4951, to: 2 }, { icr: 0x4051, to: 2 });
    expectExactlyOnce(mixed, [target(0, {}), target(1, { 81: 1 }), target(2, { 81: 2 })]);
    expectExactlyOnce(mixed, [target(0, {}), target(1, { 81: 2 }), target(2, { 81: 1 })]);
    assert.throws(() => expectExactlyOnce(mixed, [target(0, {}), target(1, {}), target(2, { 81: 3 })]));
  });

  test('one that waits, or whose counter tells nothing, may have it', () => {
    const waiting = [target(1, {}), { ...target(2, {}), waiting: new Set([0x51]) }];
    assert.match(failure(() => expectExactlyOnce(lowest(), waiting)).message, /^vCPU 2 .*one waits/);
    const own = [{ ...target(1, {}), uncounted: () => 'its own' }, target(2, { 81: 1 })];
    expectExactlyOnce(lowest(), own);
    assert.match(
      failure(() => expectExactlyOnce(lowest(), [own[0]!, target(2, {})])).message,
      /not judged, since its own/,
    );
  });
});
