/** The bugs that KVM's local APIC once had: the explorer, which knows nothing of them, finds each within a minute. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { root, runProgram } from '../support/command.ts';
import { labMissing } from '../support/lab.ts';

const HOUR = 3_600;

test('each is found in the median of three seeds, and shown by at most 6 operations', {
  skip: labMissing(),
  timeout: 3 * HOUR * 1000,
}, (t) => {
  const command = ['--import', 'tsx', 'test/bugs/main.ts', '--on', 'svm', '--seeds', '3', '--for', '60'];
  const { code, stdout, stderr } = runProgram(process.execPath, command, 3 * HOUR, root);
  t.diagnostic(stdout);
  assert.equal(code, 0, stderr.split('\n').slice(-30).join('\n'));
});
