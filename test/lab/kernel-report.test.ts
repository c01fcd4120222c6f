/** A kernel that is broken while a script passes (a check that passes: suite.test.ts): the script kernel-bug.ts makes KVM-AMD find a BUG(). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HealthCheck } from '../../lib/doctor/index.ts';
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

for (const [lane, own, other] of [
  ['vmx', 'kvm_intel', 'kvm_amd'],
  ['svm', 'kvm_amd', 'kvm_intel'],
] as const)
  test(`doctor on ${lane}: the parameters of ${own} alone, and a kernel without a report`, {
    skip,
    timeout: 300_000,
  }, () => {
    const { stdout, stderr } = kvmDsm(['doctor', '--on', lane, '--json'], 280);
    const { checks } = JSON.parse(stdout) as { checks: HealthCheck[] };
    const words = checks.map(({ finding }) => finding).join('\n');
    assert.match(words, new RegExp(`^${own}\\.\\w+=`, 'm'));
    assert.doesNotMatch(words, new RegExp(`${other}\\.`));
    // What every kernel says of Bochs while it boots is no news.
    assert.equal(checks.find(({ id }) => id === 'kernel.log')?.status, 'ok', words);
    assert.doesNotMatch(stderr, /reported/);
  });
