/** The checklist of Debian's kernel source: each of its rules is known here, under its number, and nothing else is taken for one. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { kernelSourceTarball } from '../../lib/lab/needs/building.ts';
import type { Evidence } from '../../lib/review/checklist/answer.ts';
import { answerRules } from '../../lib/review/checklist/rules.ts';
import { readRules, type TreeLook } from '../../lib/review/look/tree.ts';
import { sourceMissing } from '../support/lab.ts';

const nothing = { series: { title: '', version: '', patches: [], notes: [] }, added: [], runs: [], symbols: [] };

function listed(rules: Record<string, string>) {
  const after = { rules, layouts: { ok: true, bits64: {}, bits32: {} }, api: '', kvmHeader: '' } as unknown as TreeLook;
  const evidence = { ...nothing, after, before: null, offsets: 0, base: '', optIn: false } as unknown as Evidence;
  return answerRules(evidence).map(({ id, rule, looked }) => ({ id, rule, looked }));
}

test('every rule of the tree has its answer', { skip: sourceMissing() }, () => {
  const args = ['-xOf', kernelSourceTarball, '--wildcards', '--occurrence=1', '*/virt/kvm/review-checklist.rst'];
  const { stdout, status } = spawnSync('tar', args, { encoding: 'utf8' });
  assert.equal(status, 0);
  const rules = readRules(stdout);
  assert.deepEqual(
    Object.keys(rules),
    Array.from({ length: 12 }, (_, index) => String(index + 1)),
  );
  assert.match(rules[12]!, /^Features must be robust against reset and kexec/);
  // The list that is taken where a tree has none, which goes by numbers, against the words of this one.
  assert.deepEqual(listed(rules), listed({}));
});
