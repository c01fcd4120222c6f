// Whose each of the kernel's own events is, and where it stands among a machine's own: of what a kernel of the lab's recorded.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { FtraceEvent } from '../../../lib/host/ftrace/recording.ts';
import { inTime } from '../../../lib/picture/file/records.ts';
import { KernelTrace } from '../../../lib/script/kernel-trace.ts';
import type { KernelEvent, KernelLoss } from '../../../lib/trace/kernel-event.ts';
import { recordedEvents } from '../../support/recorded-ftrace.ts';

/** Hands out what was recorded. */
function source(events: readonly FtraceEvent[], names: Record<number, string> = {}) {
  const left = [...events];
  const recording = {
    refresh() {},
    *take(upTo: bigint) {
      while (left[0] && left[0].at <= upTo) yield left.shift()!;
    },
    takeLost: () => [{ cpu: 1, lost: 7 }],
    has: (event: string) => events.some((one) => one.event === event),
    nameOf: (tid: number) => names[tid] ?? '',
    clear: () => void left.splice(0),
    close() {},
  };
  const seen: KernelEvent[] = [];
  const losses: KernelLoss[] = [];
  const sink = {
    event: (event: KernelEvent) => void seen.push(event),
    loss: (loss: KernelLoss) => void losses.push(loss),
  };
  const of = (vcpu: number | undefined) => (vcpu === undefined ? undefined : 4);
  return { trace: new KernelTrace(recording, of, sink), seen, losses };
}

const END = 1n << 62n;

describe('whose an event is', () => {
  test("by the thread that enters a guest: what it does for another vCPU's APIC is the sender's", () => {
    const { trace, seen } = source(recordedEvents());
    trace.upTo(END);
    const of = (event: string) => [...new Set(seen.filter((one) => one.event === event).map(({ vcpu }) => vcpu))];
    assert.deepEqual(of('kvm_apic_accept_irq'), [0]);
    assert.deepEqual(of('kvm_inj_virq'), [1]);
    assert.deepEqual(of('kvm_eoi'), [1]);
    assert.deepEqual(of('sched_process_exec'), [undefined]);
    assert.ok(seen.every(({ vcpu, machine }) => (machine === 4) === (vcpu !== undefined)));
    assert.equal(seen.length, 48);
  });

  test('by its name, as the kernel remembers it, where nothing tells of an entry', () => {
    const quiet = recordedEvents().filter(({ event }) => event !== 'kvm_entry' && event !== 'kvm_exit');
    const { trace, seen } = source(quiet, { 85: 'vcpu 0', 86: 'vcpu 1', 88: 'vcpu x' });
    trace.upTo(END);
    assert.deepEqual(new Set(seen.map(({ tid, vcpu }) => `${tid} ${vcpu}`)), new Set(['85 0', '86 1', '88 undefined']));
  });

  test("on this very thread only from an entry to its end: between two, the script's own calls", () => {
    const own = (event: string, fields = {}) => ({ at: 0n, cpu: 0, tid: process.pid, event, fields });
    const events = [
      own('kvm_msi_set_irq'),
      own('kvm_entry', { vcpu_id: 3 }),
      own('kvm_apic'),
      own('kvm_userspace_exit'),
      own('kvm_msi_set_irq'),
    ];
    const { trace, seen } = source(events);
    trace.upTo(END);
    assert.deepEqual(
      seen.map(({ vcpu }) => vcpu),
      [undefined, 3, 3, 3, undefined],
    );
    const unknown = source(events.filter(({ event }) => event !== 'kvm_userspace_exit'));
    unknown.trace.upTo(END);
    assert.deepEqual(
      unknown.seen.map(({ vcpu }) => vcpu),
      [undefined, 3, undefined, undefined],
      'nobody knows where it ends',
    );
  });
});

test('up to a time, the rest later, and what was lost', () => {
  const events = recordedEvents();
  const { trace, seen, losses } = source(events);
  trace.upTo(events[9]!.at);
  assert.equal(seen.length, 10);
  trace.all();
  assert.equal(seen.length, 48, 'CLOCK_MONOTONIC is later here than thirteen seconds');
  assert.deepEqual(
    losses.map(({ cpu, lost }) => [cpu, lost]),
    [[1, 7]],
  );
});

test('lines stand in time: the kernel before what came later', () => {
  const exit = (machine: number, ns: number) => ({ type: 'exit', machine, ns });
  const kernel = [5, 10, 11, 2000].map((at) => ({ type: 'kernel', at: `0x${at.toString(16)}` }));
  const lines = [
    { type: 'machine', machine: 1, born: '0x5' },
    exit(1, 1),
    exit(1, 5),
    exit(1, 6),
    { type: 'state', machine: 1 },
  ];
  const order = inTime(lines, kernel).map(({ type, at, ns }) => at ?? ns ?? type);
  assert.deepEqual(order, ['machine', '0x5', 1, '0xa', 5, '0xb', 6, 'state', '0x7d0']);
});
