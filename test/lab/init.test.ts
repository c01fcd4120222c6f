/** What `kvm-dsm init` makes runs, as a user calls it. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { labMissing } from '../support/lab.ts';
import { newProject } from '../support/new-project.ts';

test('svm: npm test of a new project', { skip: labMissing() }, () => {
  const { folder, npm } = newProject();
  try {
    const { code, stdout, stderr } = npm(['test', '--', '--on', 'svm', '--timeout', '240'], 300);
    assert.equal(code, 0, stdout + stderr);
    assert.match(stdout, /^ok: \d+ exits, 2 of them forwarded ICR writes; ran on the svm lab/m);
  } finally {
    rmSync(dirname(folder), { recursive: true });
  }
});
