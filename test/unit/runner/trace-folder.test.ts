/** `kvm-dsm test --trace`: which files it leaves of what failed, and what stands in them. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readTrace, type TraceRecord } from '../../../lib/picture/file/read.ts';
import { eventLine, machineLine } from '../../../lib/picture/file/records.ts';
import { TraceFolder } from '../../../lib/runner/suite/trace-folder.ts';
import { readOutcomeEvent } from '../../../lib/suite/run/events.ts';
import { unknownFacts } from '../../../lib/suite/run/facts.ts';
import type { Executor, Item, Outcome, Sink } from '../../../lib/suite/run/protocol.ts';
import { testFolder } from '../../support/test-folder.ts';

const work = testFolder();

const exit = { seq: 0, ns: 5, vcpu: 0, rip: 0x1000n, exit: { reason: 5, name: 'KVM_EXIT_HLT' as const } };
const trace = [machineLine(1, 1, { born: 1n, irqchip: 'full', targets: [] }), eventLine(1, exit as never)];
const failed: Outcome = { kind: 'fail', cause: 'claim', reason: 'it is 1', detail: 'expected 2', trace };
const items: Item[] = [
  { n: 0, id: 'a.passes', round: 1 },
  { n: 1, id: 'a.fails', round: 1 },
  { n: 2, id: 'a.fails', round: 2 },
  { n: 3, id: 'a.dies', round: 1 },
];
const outcomes: Outcome[] = [
  { kind: 'pass' },
  failed,
  failed,
  { kind: 'fail', cause: 'crash', reason: 'its process ended', detail: '' },
];

async function left(folder: string, repeat: number, row?: string): Promise<Outcome[]> {
  const told: Outcome[] = [];
  const executor: Executor = async (plan, sink) => {
    sink.facts({ ...unknownFacts('svm', '/dev/kvm', 'rfc-v2'), kernel: '6.12.0-test' });
    for (const item of plan) sink.outcome(item, outcomes[item.n]!, 1, 1);
    return null;
  };
  const sink: Sink = { facts() {}, start() {}, note() {}, outcome: (_, outcome) => told.push(outcome) > 0 };
  const traced = new TraceFolder(folder, repeat).around(executor, unknownFacts('svm', '/dev/kvm', 'rfc-v2'), row);
  await traced(items, sink);
  return told;
}

test('each failure that has a trace leaves a file, which its detail names', async () => {
  const folder = join(work, 'some', 'where');
  const told = await left(folder, 2);
  assert.deepEqual(readdirSync(folder).sort(), ['a.fails.1.ndjson', 'a.fails.2.ndjson']);
  assert.deepEqual(
    told.map((outcome) => ('detail' in outcome ? outcome.detail : null)),
    [
      null,
      `trace: ${join(folder, 'a.fails.1.ndjson')}\nexpected 2`,
      `trace: ${join(folder, 'a.fails.2.ndjson')}\nexpected 2`,
      '',
    ],
  );
  const text = readFileSync(join(folder, 'a.fails.1.ndjson'), 'utf8');
  const records: TraceRecord[] = [];
  for await (const record of readTrace(
    (async function* () {
      yield text;
    })(),
  ))
    records.push(record);
  assert.deepEqual(
    records.map(({ type }) => type),
    ['trace', 'machine', 'event', 'failure', 'end'],
  );
  assert.match(text, /"kernel":"6\.12\.0-test","profile":"rfc-v2","on":"svm"[\s\S]*"message":"it is 1"/);
});

test('once: named by the check alone; of a row of the report, by the row as well', async () => {
  const folder = join(work, 'rows');
  await left(folder, 1, 'no-ept');
  assert.deepEqual(readdirSync(folder), ['no-ept.a.fails.ndjson']);
});

test('a folder that cannot be made is told before anything runs', () => {
  writeFileSync(join(work, 'file'), '');
  assert.throws(() => new TraceFolder(join(work, 'file', 'below'), 1), { code: 'ERR_TRACE_FILE', exitCode: 3 });
});

test('what a worker tells as a trace has to be lines of one', () => {
  const event = (lines: unknown) => ({ n: 1, ms: 1, exits: 1, outcome: { ...failed, trace: lines } });
  assert.ok(readOutcomeEvent(event(trace)));
  for (const lines of ['text', [1], [null], [{}], { type: 'machine' }])
    assert.equal(readOutcomeEvent(event(lines)), null);
});
