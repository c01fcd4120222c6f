// The kernel's own events as it hands them out: pages and format files of a real run, against the kernel's own text of the same events.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { ArgumentError } from '../../../lib/base/errors.ts';
import { chooseEvents, eventsOf, matching } from '../../../lib/host/ftrace/choice.ts';
import { KernelEventsError } from '../../../lib/host/ftrace/errors.ts';
import { parseFormat, readFields } from '../../../lib/host/ftrace/format.ts';
import { namesIn, parseNames } from '../../../lib/host/ftrace/names.ts';
import { parsePageLayout, recordsIn } from '../../../lib/host/ftrace/page.ts';
import { FtraceRecording } from '../../../lib/host/ftrace/recording.ts';
import { removeForsaken } from '../../../lib/host/ftrace/tracefs.ts';
import { recorded, recordedEvents } from '../../support/recorded-ftrace.ts';

const layout = parsePageLayout(recorded.header)!;

describe('pages of a real run', () => {
  test("each event has the CPU, the thread, the name and the time of the kernel's own text", () => {
    const told = recorded.text.map((line) => {
      const [, tid, cpu, seconds, micros, event] = /-(\d+) +\[(\d+)\] .{5} +(\d+)\.(\d+): (\w+): /.exec(line)!;
      return [Number(tid), Number(cpu), BigInt(seconds!) * 1_000_000n + BigInt(micros!), event];
    });
    // The kernel rounds.
    const read = recordedEvents().map(({ tid, cpu, at, event }) => [tid, cpu, (at + 500n) / 1000n, event]);
    assert.equal(read.length, 48);
    assert.deepEqual(read, told);
  });

  test('its members are those that the text has', () => {
    const words: Record<string, (fields: Record<string, unknown>) => string> = {
      kvm_entry: ({ vcpu_id, rip }) => `vcpu ${vcpu_id}, rip 0x${(rip as bigint).toString(16)}`,
      kvm_apic_accept_irq: ({ apicid, vec }) => `apicid ${apicid} vec ${vec} (Fixed|edge)`,
      kvm_eoi: ({ apicid, vector }) => `apicid ${apicid} vector ${vector}`,
      kvm_inj_virq: ({ vector, reinjected }) =>
        `IRQ 0x${(vector as number).toString(16)}${reinjected ? ' [reinjected]' : ''}`,
      kvm_vcpu_wakeup: ({ ns }) => `wait time ${ns} ns, polling valid`,
      sched_process_exec: ({ filename, pid, old_pid }) => `filename=${filename} pid=${pid} old_pid=${old_pid}`,
    };
    const seen = new Set<string>();
    for (const [index, { event, fields }] of recordedEvents().entries()) {
      const expected = words[event]?.(fields);
      if (expected === undefined) continue;
      seen.add(event);
      assert.ok(recorded.text[index]!.endsWith(`${event}: ${expected}`), `${recorded.text[index]} is not ${expected}`);
    }
    assert.deepEqual([...seen].sort(), Object.keys(words).sort());
    const restart = recordedEvents().findLast(({ event }) => event === 'kvm_userspace_exit')!;
    assert.deepEqual(restart.fields, { reason: 10, errno: -4 });
  });

  test('a page that is cut off anywhere gives the events before the cut, and nothing else', () => {
    const bytes = Buffer.from(recorded.pages.cpu2![0]!, 'base64');
    const whole = [...recordsIn(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), layout)];
    for (let length = 16; length < bytes.length; length += 7) {
      const part = [...recordsIn(new DataView(bytes.buffer, bytes.byteOffset, length), layout)];
      assert.deepEqual(
        part.map(({ at }) => at),
        whole.slice(0, part.length).map(({ at }) => at),
      );
      assert.ok(part.length <= whole.length);
    }
  });
});

/** A page of words of 32 bits. */
function page(began: bigint, words: readonly number[], flags = 0): DataView {
  const view = new DataView(new ArrayBuffer(16 + words.length * 4));
  view.setBigUint64(0, began, true);
  view.setUint32(8, (words.length * 4) | flags, true);
  words.forEach((word, at) => {
    view.setUint32(16 + at * 4, word, true);
  });
  return view;
}
const head = (kind: number, delta: number) => (kind | (delta << 5)) >>> 0;
const times = (view: DataView) => [...recordsIn(view, layout)].map(({ at, record }) => [at, record.byteLength]);

test('what lies between events: longer times, absolute ones, events that were taken back, padding, long events', () => {
  const event = (delta: number) => [head(2, delta), 7, 8];
  assert.deepEqual(times(page(1000n, [...event(5), ...event(6)])), [
    [1005n, 8],
    [1011n, 8],
  ]);
  assert.deepEqual(times(page(1000n, [head(30, 3), 2, ...event(1)])), [[1000n + (2n << 27n) + 4n, 8]]);
  const era = 5n << 59n;
  assert.deepEqual(times(page(era, [head(31, 9), 4, ...event(1)])), [[era + (4n << 27n) + 10n, 8]]);
  assert.deepEqual(times(page(0n, [head(29, 4), 8, 0, ...event(1)])), [[5n, 8]]);
  assert.deepEqual(times(page(0n, [...event(1), head(29, 0), ...event(1)])), [[1n, 8]]);
  const long = [head(0, 2), 4 + 120, ...Array.from({ length: 30 }, () => 1)];
  assert.deepEqual(times(page(0n, [...long, ...event(1)])), [
    [2n, 120],
    [3n, 8],
  ]);
  const MISSED = 1 << 31;
  assert.deepEqual(times(page(0n, event(1), MISSED)), [[1n, 8]], 'flags are no length');
});

test('a format file: texts, texts elsewhere, arrays, signs; what is no format; addresses of the kernel', () => {
  const format = parseFormat(
    `name: it\nID: 9\nformat:\n${[
      'unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0',
      'char name[4];\toffset:8;\tsize:4;\tsigned:0',
      '__data_loc char[] more;\toffset:12;\tsize:4;\tsigned:0',
      'u8 raw[2];\toffset:16;\tsize:2;\tsigned:0',
      's8 small;\toffset:18;\tsize:1;\tsigned:1',
      'unsigned long __probe_ip;\toffset:0;\tsize:8;\tsigned:0',
      's64 big;\toffset:20;\tsize:8;\tsigned:1',
      'u32 beyond;\toffset:400;\tsize:4;\tsigned:0',
    ]
      .map((field) => `\tfield:${field};\n`)
      .join('')}`,
  )!;
  const bytes = Buffer.alloc(40);
  bytes.write('ab', 8);
  bytes.writeUInt32LE((3 << 16) | 30, 12);
  bytes.write('xyz', 30);
  bytes.writeUInt16BE(0xbeef, 16);
  bytes.writeInt8(-2, 18);
  bytes.writeBigInt64LE(-3n, 20);
  const fields = readFields(format, new DataView(bytes.buffer, bytes.byteOffset, bytes.length));
  assert.deepEqual(fields, { name: 'ab', more: 'xyz', raw: 'beef', small: -2, big: -3n });
  bytes.writeUInt32LE((30 << 16) | 30, 12);
  assert.equal(readFields(format, new DataView(bytes.buffer, bytes.byteOffset, bytes.length)).more, undefined);
  assert.equal(parseFormat('hello'), undefined);
  assert.equal(parsePageLayout('\tfield: u64 timestamp;\toffset:8;\tsize:8;\tsigned:0;'), undefined);
});

test("what the kernel calls values, by an event's print format", () => {
  const reasons = (isa: number, exit_reason: number) =>
    namesIn(
      parseNames(
        'print fmt: "vcpu %u reason %s%s", REC->vcpu_id, (REC->isa == 1) ? __print_symbolic(REC->exit_reason & 0xffff, ' +
          '{ 0, "EXCEPTION_NMI" }, { 48, "EPT_VIOLATION" }) : __print_symbolic(REC->exit_reason, { 0x400, "npf" }), ' +
          '(REC->isa == 1 && REC->exit_reason & ~0xffff) ? " " : ""',
      ),
      { vcpu_id: 48, exit_reason, isa },
    );
  assert.deepEqual(reasons(1, 48), { exit_reason: 'EPT_VIOLATION' });
  assert.deepEqual(reasons(1, 0x8000_0000), { exit_reason: 'EXCEPTION_NMI' }, 'a part of it');
  assert.deepEqual(reasons(2, 0x400), { exit_reason: 'npf' });
  assert.equal(reasons(1, 0x400), undefined);
  assert.equal(reasons(2, 48), undefined);
  const icr = parseNames(
    'print fmt: "%s|%s|%s", __print_symbolic((REC->icr_low >> 8 & 0x7), {0x0, "Fixed"}, {0x4, "NMI"}), ' +
      '(REC->icr_low & (1<<11)) ? "logical" : "physical", __print_symbolic((REC->icr_low >> 18 & 0x3), {0x0, "dst"}, {0x1, "self"})',
  );
  assert.deepEqual(namesIn(icr, { icr_low: 0x4_0400 }), { icr_low: 'NMI|self' });
  assert.deepEqual(namesIn(icr, { icr_low: 0xc_0000n }), { icr_low: 'Fixed' });
  const told = parseNames(
    'print fmt: "%s", REC->errno < 0 ? "error" : __print_symbolic(REC->reason, { 2, "KVM_EXIT_" "IO" }, { (1 << 3), "odd" })',
  );
  assert.deepEqual(namesIn(told, { errno: 0, reason: 2 }), { reason: 'KVM_EXIT_IO' });
  assert.deepEqual(parseNames('print fmt: "%s", __print_symbolic(REC->error_code, { })'), []);
  assert.deepEqual(parseNames('name: it'), []);
  for (const beyond of [
    '__print_symbolic(REC->state & SOME_MASK, { 1, "one" })',
    '__print_symbolic(REC->state & 0xffUL, { 1, "one" })',
    '(REC->kind == SOME_KIND) ? __print_symbolic(REC->state, { 1, "one" }) : __print_symbolic(REC->state, { 1, "other" })',
    'REC->kind ? __print_symbolic(REC->state, { 1, "one" }) : __print_symbolic(REC->state, { 1, "other" })',
  ])
    assert.equal(namesIn(parseNames(`print fmt: "%s", ${beyond}`), { kind: 0, state: 1 }), undefined, beyond);
});

test('words that name events', () => {
  const { globs, probes } = eventsOf(['interrupts', 'kvm_pi*', 'irq:*', 'p:mine some_symbol a=%di']);
  assert.ok(globs.some(({ glob }) => glob === 'kvm:kvm_apic_accept_irq'));
  assert.deepEqual(globs.slice(-2), [
    { word: 'kvm_pi*', glob: 'kvm:kvm_pi*' },
    { word: 'irq:*', glob: 'irq:*' },
  ]);
  assert.deepEqual(probes, [{ name: 'mine', rest: 'some_symbol a=%di' }]);
  for (const wrong of ['', '../x', 'a:b:c', 'p:1x sym', 'p:x a;b', 'r:x sym', 'kvm:'])
    assert.equal(chooseEvents(['kvm_exit', wrong]), wrong);
  assert.throws(() => eventsOf(['a b']), ArgumentError);
  assert.throws(() => eventsOf(['kvm:*', '*:*']), /\*:\*: it names every event there is/);
  assert.equal(eventsOf(['*:kvm_exit']).globs.length, 1);
  assert.deepEqual(matching('kvm_?xit*', ['kvm_exit', 'kvm_entry', 'kvm_exits', 'a_kvm_exit']), [
    'kvm_exit',
    'kvm_exits',
  ]);
});

describe('where there is no tracing', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tracefs-'));
  after(() => rmSync(folder, { recursive: true }));
  const refused = (places: string[], why: RegExp) =>
    assert.throws(
      () => new FtraceRecording(eventsOf(['kvm_exit']), { ownOnly: true }, places),
      (error: unknown) => {
        assert.ok(error instanceof KernelEventsError);
        assert.equal(error.code, 'ERR_KERNEL_EVENTS');
        assert.equal(error.exitCode, 3);
        assert.match(error.message, why);
        return true;
      },
    );

  test('that it is not mounted, or not to be written, is an error which says what to do', () => {
    refused([join(folder, 'none')], /not mounted/);
    mkdirSync(join(folder, 'there', 'instances'), { recursive: true });
    mkdirSync(join(folder, 'there', 'instances', `kvm-dsm-${process.pid}`));
    refused([join(folder, 'there')], /EEXIST/);
  });

  test('instances of processes that are gone are removed, and no other', () => {
    const root = join(folder, 'left');
    const gone = 2 ** 22 + 1;
    for (const name of [`kvm-dsm-${gone}`, `kvm-dsm-${process.pid}`, 'kvm-dsm-x', 'other'])
      mkdirSync(join(root, 'instances', name), { recursive: true });
    const probes = `p:kvm_dsm_${gone}/a sym\np:kvm_dsm_${process.pid}/b sym\np:kprobes/c sym\n`;
    writeFileSync(join(root, 'kprobe_events'), probes);
    removeForsaken([join(folder, 'none'), root]);
    const left = ['kvm-dsm-x', `kvm-dsm-${process.pid}`, 'other'];
    assert.deepEqual(readdirSync(join(root, 'instances')).sort(), left.sort());
  });
});
