/** What becomes of a run whose place breaks. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checksById, subject } from '../../../lib/suite/check.ts';
import { type Facts, unknownFacts } from '../../../lib/suite/run/facts.ts';
import { planOf } from '../../../lib/suite/run/plan.ts';
import type { Executor } from '../../../lib/suite/run/protocol.ts';
import type { Reporter } from '../../../lib/suite/run/reporter.ts';
import { runPlan } from '../../../lib/suite/run/run.ts';

const unknown = unknownFacts('svm', '/dev/kvm', 'rfc-v2');

const subjects = [
  subject(
    'word',
    'words',
    ['one', 'two', 'three'].map((name) => ({ id: `word.${name}`, claim: 'So', source: 'SDM', run() {} })),
  ),
];

async function verdictsAfter(executor: Executor) {
  const notes: string[] = [];
  const reporter: Reporter = {
    head() {},
    start() {},
    end() {},
    note: (text) => notes.push(text),
    tick() {},
    done() {},
  };
  const items = planOf(subjects, { patterns: [], repeat: 1, shuffle: false, seed: 0 });
  const modes = { seed: 0, repeat: 1, shuffle: false, strict: false, bail: false, package: '1' };
  const summary = await runPlan({ items, checks: checksById(subjects), ...modes, executor, reporter, unknown });
  const verdicts = summary.results.map(({ result }) => [result.verdict, result.reason?.replace(/\n.*/s, '') ?? null]);
  return { verdicts, notes, error: summary.error };
}

const passes: Executor = async (items, sink) => {
  sink.facts({} as Facts);
  for (const item of items) sink.outcome(item, { kind: 'pass' }, 1, 1);
  return null;
};

test('an executor that breaks: what had no turn is no pass', async () => {
  const { verdicts, error } = await verdictsAfter(async (items, sink) => {
    await passes(items.slice(0, 1), sink);
    throw new Error('the machine burned\nlog');
  });
  assert.deepEqual(verdicts, [
    ['pass', null],
    ['fail', 'not run: the machine burned'],
    ['fail', 'not run: the machine burned'],
  ]);
  assert.match(String(error), /burned/);
});

test('one that breaks behind the last verdict is not forgotten', async () => {
  const { verdicts, notes, error } = await verdictsAfter(async (items, sink) => {
    await passes(items, sink);
    throw new Error('oops');
  });
  assert.deepEqual(verdicts.flat(), ['pass', null, 'pass', null, 'pass', null]);
  assert.deepEqual(notes, ['the run did not end as it should: oops']);
  assert.match(String(error), /oops/);
});

test('a place that dies before it has said what it is has a head none the less, before all else', async () => {
  const heard: string[] = [];
  const reporter: Reporter = {
    head: ({ facts }) => heard.push(`head ${facts.on} ${facts.kernel}`),
    start: ({ id }) => heard.push(`start ${id}`),
    end: ({ id }, { verdict }) => heard.push(`${verdict} ${id}`),
    note() {},
    tick() {},
    done: () => heard.push('done'),
  };
  const items = planOf(subjects, { patterns: ['one'], repeat: 1, shuffle: false, seed: 0 });
  const modes = { seed: 0, repeat: 1, shuffle: false, strict: false, bail: false, package: '1' };
  const executor: Executor = async ([item], sink) => {
    sink.start(item!);
    sink.outcome(item!, { kind: 'fail', cause: 'oops', reason: 'panic', detail: '' }, 1, 0);
    return null;
  };
  await runPlan({ items, checks: checksById(subjects), ...modes, executor, reporter, unknown });
  assert.deepEqual(heard, ['head svm unknown', 'start word.one', 'fail word.one', 'done']);
});

test('one that forgets a check fails it', async () => {
  const { verdicts } = await verdictsAfter((items, sink) => passes(items.slice(1), sink));
  assert.deepEqual(verdicts[0], ['fail', 'not run: the run ended before its turn']);
});

test('one that breaks before anything is known: no report', async () => {
  const nothing = verdictsAfter(() => Promise.reject(new Error('no place')));
  await assert.rejects(nothing, /no place/);
});
