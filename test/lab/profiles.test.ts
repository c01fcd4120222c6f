/** Kernels that speak other profiles, which the lab's does by kvm.dsm_abi: what they do wrong is shown, and told as theirs. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { HealthCheck } from '../../lib/doctor/index.ts';
import { kvmDsm } from '../support/command.ts';
import { labMissing } from '../support/lab.ts';
import type { SuiteDocument } from '../support/suite.ts';

function suiteOf(abi: string, profile: string, ...patterns: string[]): { document: SuiteDocument; stdout: string } {
  const args = ['--on', 'svm', '--profile', profile, '--cmdline', `kvm.dsm_abi=${abi}`, '--json', '--timeout', '250'];
  const { code, stdout, stderr } = kvmDsm(['test', ...patterns, ...args], 280);
  assert.equal(code, 0, stdout + stderr);
  return { document: JSON.parse(stdout) as SuiteDocument, stdout };
}

const verdicts = ({ checks }: SuiteDocument, verdict: string) =>
  checks.filter((check) => check.verdict === verdict).map(({ id }) => id);

describe('profiles on the lab kernel', { skip: labMissing(), timeout: 900_000 }, () => {
  test("gvm-main is recognized; its defects are xfail by the profile's own reasons", () => {
    const patterns = ['injection.answer', 'injection.documented', 'injection.base', 'capability.shared-memory'];
    const unreadable = ['ipi', 'x2apic', 'apic-base'].map((word) => `injection.unreadable.${word}`);
    const { document, stdout } = suiteOf('gvm-main', 'auto', ...patterns, ...unreadable);
    assert.deepEqual(verdicts(document, 'xfail').toSorted(), [
      'capability.shared-memory.told',
      'injection.answer.base',
      'injection.answer.ipi',
      'injection.answer.x2apic',
      'injection.base.host',
      'injection.base.moved',
      'injection.base.refusal-told',
      'injection.base.x2apic',
      'injection.documented.ipi',
      ...unreadable.toSorted(),
    ]);
    assert.deepEqual([...verdicts(document, 'fail'), ...verdicts(document, 'xpass')], []);
    assert.match(stdout, /profile gvm-main, by behaviour: .*KVM_DSM_MEMCPY \(0x4020aef1\) is known/);
  });

  test('of a gvm-main without CONFIG_KVM_DSM it is told that its injection ioctls hang on that', () => {
    const patterns = ['capability.injection.own-option', 'injection.ipi.dest-id'];
    const { document } = suiteOf('gvm-main-irq', 'gvm-main', ...patterns);
    assert.deepEqual(verdicts(document, 'xfail'), ['capability.injection.own-option']);
    assert.deepEqual(verdicts(document, 'skip'), ['injection.ipi.dest-id']);
  });

  test('doctor looks at gvm-old by its own numbers', () => {
    const args = ['doctor', '--on', 'svm', '--profile', 'auto', '--cmdline', 'kvm.dsm_abi=gvm-old', '--json'];
    const { code, stdout, stderr } = kvmDsm(args, 280);
    assert.equal(code, 0, stderr);
    const { profile, checks } = JSON.parse(stdout) as { profile: string; checks: HealthCheck[] };
    assert.equal(profile, 'gvm-old');
    assert.match(checks[0]!.finding, /^This kernel speaks profile gvm-old: .*makes exit 41/);
  });

  test('a profile that the kernel does not speak is told, with the one that it does', () => {
    const args = ['doctor', '--on', 'svm', '--cmdline', 'kvm.dsm_abi=gvm-old', '--json'];
    const { stdout, stderr } = kvmDsm(args, 280);
    assert.notEqual(stdout, '', stderr);
    const { checks } = JSON.parse(stdout) as { checks: HealthCheck[] };
    const { status, finding, advice } = checks.find(({ id }) => id === 'profile')!;
    assert.equal(status, 'warn');
    assert.match(finding, /speaks profile gvm-old, and is looked at by rfc-v2/);
    assert.match(advice!, /--profile gvm-old/);
  });
});
