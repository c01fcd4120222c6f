/** A kernel that is broken while a script passes (a check that passes: suite.test.ts): the script kernel-bug.ts makes KVM-AMD find a BUG(). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kvmDsm } from '../support/command.ts';
import { labMissing } from '../support/lab.ts';

const skip = labMissing();
const bug = /^the kernel reported a BUG\(\) while the script ran: kernel BUG at arch\/x86\/kvm\/x86\.c:\d+!\n/;

test('run: a script that passes fails, with the kernel’s words', { skip, timeout: 300_000 }, () => {
  const { code, stdout, stderr } = kvmDsm(['run', 'test/lab/scripts/kernel-bug.ts', '--on', 'svm', '--json'], 280);
  assert.equal(code, 1, stderr);
  const results = stdout.split('\n').filter((line) => /^\{"type":"(?:result|error)"/.test(line));
  assert.equal(results.length, 1, stdout);
  const { type, ok, error } = JSON.parse(results[0]!) as Record<string, unknown> & { error: Record<string, string> };
  assert.deepEqual([type, ok, error.code], ['result', false, 'ERR_KERNEL_REPORT']);
  assert.match(error.message!, bug);
  assert.match(error.message!, /RIP: 0010:kvm_spurious_fault/);
});
