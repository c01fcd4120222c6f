/** The historical bugs: the table here and the kernel's are one, and each has a hook. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { kernelInputs } from '../../../lib/lab/kernel/inputs.ts';
import { labPatchesOf, seriesNames } from '../../../lib/lab/kernel/own-series.ts';
import { faults } from '../../../lib/suite/faults/table.ts';
import { type BugsRecord, median, summaries } from '../../bugs/record.ts';
import { FIRST_BUG, historicalBugs } from '../../bugs/table.ts';

const header = readFileSync(join(kernelInputs(), 'fault/arch/x86/kvm/dsm_fault_bugs.h'), 'utf8');
const listed = [...header.matchAll(/^\tbug\((\w+), "([^"]*)"\)/gm)].map(([, id, name]) => ({ id: id!, name: name! }));

test("the bugs are those of the kernel's table, with its numbers", () => {
  assert.deepEqual(
    historicalBugs.map(({ name }) => name),
    listed.map(({ name }) => name),
  );
  assert.equal(Number(/^#define DSM_FIRST_BUG\s+(\d+)$/m.exec(header)?.[1]), FIRST_BUG);
  assert.ok(FIRST_BUG > 2 * Math.max(...faults.map(({ number }) => number)), 'faults have room to grow');
});

test('each is what some hook does, in every series', () => {
  for (const series of seriesNames) {
    const hooks = labPatchesOf(kernelInputs(), series)
      .map((patch) => readFileSync(patch, 'utf8'))
      .join('');
    for (const { id } of listed) assert.match(hooks, new RegExp(`^\\+.*kvm_dsm_bug\\(DSM_BUG_${id}\\)`, 'm'), id);
  }
});

test('at least 12, each with its own words and the subject of a commit; none has the name of a fault', () => {
  assert.ok(historicalBugs.length >= 12);
  for (const field of ['name', 'what', 'subject'] as const)
    assert.equal(new Set(historicalBugs.map((bug) => bug[field])).size, historicalBugs.length, field);
  for (const { name, what, subject, mended, where } of historicalBugs) {
    assert.match(name, /^[a-z\d-]+$/);
    assert.match(what, /^[^\n]+[^.\n]$/);
    assert.match(subject, /^(kvm|x86\/kvm\/lapic): /i);
    assert.match(mended, /^\d+\.\d+(\.\d+)?$/);
    assert.match(where, /^\w+\.c, \w+/);
    assert.ok(!faults.some((fault) => fault.name === name), name);
  }
});

test('a bug that most seeds do not find has no median', () => {
  const tried = (msToFind: number | null) => ({
    histories: 1,
    msToFind,
    operations: msToFind === null ? 0 : 3,
    steady: true,
  });
  const name = historicalBugs[0]!.name;
  const record = (times: (number | null)[]): BugsRecord => ({
    version: 1,
    on: 'svm',
    limit: 60,
    bugs: { [name]: Object.fromEntries(times.map((ms, seed) => [seed, tried(ms)])) },
  });
  assert.equal(median([3, 1, 2]), 2);
  assert.deepEqual(
    [
      [100, 300, null],
      [100, null, null],
    ].map((times) => summaries(record(times)).map(({ seeds, found, medianMs }) => [seeds, found, medianMs])),
    [[[3, 2, 300]], [[3, 1, Number.POSITIVE_INFINITY]]],
  );
});
