/** The suite against faults of the lab's kernel. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { bundleModule, packageEntry } from '../../lib/runner/bundle/module.ts';
import { type Check, checksById } from '../../lib/suite/check.ts';
import { judgeFault } from '../mutants/judge.ts';
import type { Verdicts } from '../mutants/record.ts';
import { runMutants } from '../mutants/run.ts';
import { labMissing } from '../support/lab.ts';
import { subjects } from './scripts/mutant-checks.ts';

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
      module: await bundleModule('test/lab/scripts/mutant-checks.ts', packageEntry),
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
});
