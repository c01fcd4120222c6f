import assert from 'node:assert/strict';
import { basename } from 'node:path';
import { test } from 'node:test';
import { faults } from '../../../lib/suite/faults/table.ts';
import type { Verdict } from '../../../lib/suite/run/judge.ts';
import { fits } from '../../../lib/suite/run/plan.ts';
import { subjects } from '../../../lib/suite/subjects/index.ts';
import { judgeFault, leaveOneOut, unsound } from '../../mutants/judge.ts';
import { added, type MutantRecord, recordFile, type Verdicts } from '../../mutants/record.ts';
import { closestOf, leaveOneOutTable, tableOf } from '../../mutants/table.ts';

const seen = (verdicts: Record<string, Verdict>): Verdicts =>
  Object.fromEntries(
    Object.entries(verdicts).map(([id, verdict]) => [id, { verdict, cause: null, reason: null, ms: 1 }]),
  );

const baseline = { 'a.one': 'pass', 'a.two': 'pass', 'b.known': 'xfail', 'b.skipped': 'skip' } as const;

const record = (under: Record<string, Record<string, Verdict>>): MutantRecord => ({
  version: 1,
  on: 'svm',
  profile: 'rfc-v2',
  kernel: '',
  package: '',
  seed: 1,
  baseline: seen(baseline),
  faults: Object.fromEntries(
    Object.entries(under).map(([name, verdicts]) => [name, seen({ ...baseline, ...verdicts })]),
  ),
  wedged: {},
});
const fault = (name: string, ...breaks: string[]) => ({ name, number: 1, what: '', breaks });

test('a check that fails under a fault catches it if the fault breaks its claim, and fires without cause if not', () => {
  const both = record({ f: { 'a.one': 'fail', 'a.two': 'fail' } });
  assert.deepEqual(judgeFault(fault('f', 'a.one'), both).caught, ['a.one']);
  assert.deepEqual(judgeFault(fault('f', 'a.one'), both).withoutCause, ['a.two']);
  assert.deepEqual(judgeFault(fault('f', 'a.*'), both).withoutCause, []);
  const longer = record({ f: { 'a.one': 'fail' } });
  assert.deepEqual(judgeFault(fault('f', 'a.on'), longer).withoutCause, ['a.one']);
});

test('a known shortfall that shows in another way catches; one that is gone, and a skip, catch nothing', () => {
  assert.deepEqual(judgeFault(fault('f', 'b.*'), record({ f: { 'b.known': 'fail' } })).caught, ['b.known']);
  const mild = record({ f: { 'b.known': 'xpass', 'a.one': 'skip' } });
  assert.deepEqual(judgeFault(fault('f', '*'), mild).caught, []);
  assert.deepEqual(judgeFault(fault('f', 'b.skipped'), mild).withoutCause, ['a.one', 'b.known']);
});

test('what failed without a fault catches none', () => {
  const broken = record({ f: { 'a.one': 'fail' } });
  broken.baseline['a.one'] = { verdict: 'fail', cause: 'claim', reason: '', ms: 1 };
  assert.deepEqual(judgeFault(fault('f', '*'), broken).caught, []);
  assert.deepEqual(unsound(broken), ['a.one']);
  assert.deepEqual(unsound(record({})), []);
});

test('a fault whose checks are all skipped without it is not on this kernel', () => {
  const some = record({ f: { 'a.one': 'fail' } });
  assert.equal(judgeFault(fault('f', 'a.*'), some).applies, true);
  assert.equal(judgeFault(fault('f', 'b.known', 'b.skipped'), some).applies, true);
  const elsewhere = judgeFault(fault('f', 'b.skipped'), some);
  assert.equal(elsewhere.applies, false);
  assert.match(tableOf([elsewhere]), /^f +every check that it could show in is skipped on this kernel +-$/m);
  // One of whose checks none was tried has not been caught.
  assert.equal(judgeFault(fault('f', 'c.*'), some).applies, true);
});

test('what is recorded of one profile does not take the place of another one', () => {
  const names = ['rfc-v2', 'fixed-v1'].map((profile) => basename(recordFile('svm', profile)));
  assert.deepEqual(names, ['svm.json', 'svm-fixed-v1.json']);
});

test('without one check: the faults that it alone catches', () => {
  const some = record({
    f: { 'a.one': 'fail' },
    g: { 'a.one': 'fail', 'a.two': 'fail' },
    h: { 'a.one': 'fail' },
    i: { 'a.two': 'fail' },
    j: {},
  });
  const judgements = ['f', 'g', 'h', 'i', 'j'].map((name) => judgeFault(fault(name, 'a.*'), some));
  const only = leaveOneOut(judgements);
  assert.deepEqual(
    [...only],
    [
      ['a.one', ['f', 'h']],
      ['a.two', ['i']],
    ],
  );
  assert.match(leaveOneOutTable(only), /^a\.one +f, h$/m);
  assert.match(tableOf(judgements), /^f +a\.one +-$/m);
  assert.match(tableOf(judgements), /^j +NOT CAUGHT +-$/m);
});

test('the table names the checks that catch the fewest faults', () => {
  const ids = ['a.1', 'a.2', 'a.3', 'a.4', 'a.5', 'a.6'];
  const all = { ...record({}), baseline: seen(Object.fromEntries(ids.map((id) => [id, 'pass']))) };
  all.faults = {
    f: seen(Object.fromEntries(ids.map((id) => [id, 'fail']))),
    g: seen({ 'a.1': 'fail', 'a.2': 'fail' }),
  };
  const judgements = ['f', 'g'].map((name) => judgeFault(fault(name, '*'), all));
  assert.deepEqual(closestOf(judgements, judgements[0]!.caught), { named: ['a.3', 'a.4', 'a.5', 'a.6'], more: 2 });
  assert.match(tableOf(judgements), /^f +a\.3, a\.4, a\.5, a\.6, and 2 more +-$/m);
});

test('a run adds to what was recorded, where it says the same of both', () => {
  const before = { ...record({ f: { 'a.one': 'fail' }, g: { 'a.one': 'fail' } }), wedged: { f: 'a.two', g: 'a.two' } };
  const run: MutantRecord = {
    ...record({}),
    baseline: seen({ 'a.three': 'pass' }),
    faults: { f: seen({ 'a.one': 'pass', 'a.three': 'fail' }), h: {} },
  };
  const both = added(before, run);
  assert.deepEqual(Object.keys(both.baseline), [...Object.keys(baseline), 'a.three']);
  assert.deepEqual(judgeFault(fault('f', '*'), both).caught, ['a.three']);
  assert.deepEqual(judgeFault(fault('g', '*'), both).caught, ['a.one']);
  assert.deepEqual(Object.keys(both.faults), ['f', 'g']);
  assert.deepEqual(both.wedged, { g: 'a.two' });
});

test('of another kernel, or with another seed, nothing is kept', () => {
  const run = { ...record({}), faults: { f: seen({ 'a.one': 'pass' }) } };
  for (const other of [{ kernel: 'another' }, { seed: 2 }]) {
    const before = { ...record({ g: { 'a.one': 'fail' } }), ...other };
    assert.deepEqual(Object.keys(added(before, run).faults), ['f']);
  }
  assert.deepEqual(Object.keys(added(null, run).faults), ['f']);
});

test('every fault breaks claims, and only of checks that are there', () => {
  const ids = subjects.flatMap(({ checks }) => checks.map(({ id }) => id));
  for (const { name, breaks } of faults) {
    assert.notEqual(breaks.length, 0, name);
    for (const glob of breaks)
      assert.ok(
        ids.some((id) => fits(id, glob)),
        `${name}: ${glob}`,
      );
  }
});
