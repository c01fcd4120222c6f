/** The suite against faults of the lab's kernel. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { packageInside } from '../../lib/lab/index.ts';
import { bundleModule } from '../../lib/runner/bundle/module.ts';
import { type Check, checksById, type Subject as SuiteSubject } from '../../lib/suite/check.ts';
import { readSpec } from '../../lib/suite/faults/drawn/spec.ts';
import { judgeFault } from '../mutants/judge.ts';
import { runRandom } from '../mutants/random.ts';
import { randomTable, shareOf } from '../mutants/random-record.ts';
import type { Verdicts } from '../mutants/record.ts';
import { runMutants } from '../mutants/run.ts';
import { labMissing } from '../support/lab.ts';
import { subjects } from './scripts/mutant-checks.ts';
import { subjects as randomSubjects } from './scripts/random-checks.ts';

const entryInside = `${packageInside}/dist/index.js`;

const verdicts = (seen: Verdicts) => Object.fromEntries(Object.entries(seen).map(([id, { verdict }]) => [id, verdict]));

describe('mutants', { skip: labMissing(), timeout: 300_000 }, () => {
  test('a fault that takes the machine down costs one boot and is named; the others are tried', async () => {
    const checks = checksById(subjects as { name: string; title: string; checks: Check[] }[]);
    const said: string[] = [];
    const record = await runMutants({
      lane: 'svm',
      faults: ['duplicate', 'late', 'wrong-exit'],
      ids: [...checks.keys()],
      only: new Map([['wrong-exit', ['mutant.none', 'mutant.last']]]),
      checks,
      module: await bundleModule('test/lab/scripts/mutant-checks.ts', entryInside),
      seed: 1,
      options: { on: 'svm', json: false, profile: 'rfc-v2', device: '/dev/kvm', timeout: 240 },
      onFault: (name) => said.push(name),
      note() {},
    });
    const all = { 'mutant.none': 'fail', 'mutant.dies': 'pass', 'mutant.last': 'pass' };
    assert.deepEqual(verdicts(record.baseline), { ...all, 'mutant.none': 'pass' });
    assert.deepEqual(verdicts(record.faults.duplicate!), all);
    // What was said just before may have gone down with the machine.
    const { 'mutant.none': _none, ...late } = verdicts(record.faults.late!);
    assert.deepEqual(late, { 'mutant.dies': 'fail' });
    assert.deepEqual(verdicts(record.faults['wrong-exit']!), { 'mutant.none': 'fail', 'mutant.last': 'pass' });
    assert.deepEqual(record.wedged, { late: 'mutant.dies' });
    // The last outcome under the fault before may have gone down as well: it comes from the next machine then.
    assert.deepEqual(said.toSorted(), ['duplicate', 'late', 'none', 'wrong-exit']);
    const judgement = judgeFault({ name: 'late', number: 29, what: '', breaks: ['mutant.none'] }, record);
    assert.deepEqual([judgement.withoutCause, judgement.wedged], [['mutant.dies'], 'mutant.dies']);
  });

  test('a drawn fault is noticed where its conditions hold and a check looks; the others are told as not noticed', async () => {
    const module = await bundleModule('test/lab/scripts/random-checks.ts', entryInside);
    const checks = checksById(randomSubjects as unknown as SuiteSubject[]);
    const specs = [
      'icr:vcpus.eq.1:lose',
      'icr:vcpus.eq.1&shorthand.eq.1:lose',
      'icr:vcpus.eq.2:lose',
      'icr:tpr.ge.0x20:lose',
      'icr:vcpus.eq.1&shorthand.eq.0:lose',
    ];
    const record = await runRandom({
      lane: 'svm',
      faults: specs.map(readSpec),
      ids: [...checks.keys()],
      checks,
      module,
      seed: 1,
      options: { on: 'svm', json: false, profile: 'rfc-v2', device: '/dev/kvm', timeout: 240 },
      onProgress() {},
      note() {},
    });
    const seen = specs.map((spec) => [record.faults[spec]!.could, record.faults[spec]!.by?.check ?? null]);
    assert.deepEqual(seen, [
      [['random.one'], 'random.one'],
      [['random.one'], 'random.one'],
      [['random.blind'], null],
      [[], null],
      [[], null],
    ]);
    assert.deepEqual(shareOf(record), { noticed: 2, of: 5 });
    assert.match(randomTable(record), /its condition holds in no check/);
  });
});

test('what is no number of faults is refused, before anything runs', () => {
  for (const [option, value] of [
    ['--random', 'many'],
    ['--random', '0'],
    ['--seed', '1.5'],
  ] as const) {
    const args = ['--import', 'tsx', 'test/mutants/main.ts', '--on', 'svm', '--random', '1', option, value];
    const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    assert.notEqual(status, 0, stderr);
    assert.match(stderr, /Give an integer/);
  }
});
