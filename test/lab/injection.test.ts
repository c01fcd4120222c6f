/** The injection ioctls and the reserved exits, on the lab's kernel. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { HealthCheck } from '../../lib/doctor/index.ts';
import { kvmDsm } from '../support/command.ts';
import { noKvm } from '../support/host.ts';
import { labMissing } from '../support/lab.ts';
import { lanes } from '../support/lanes.ts';
import type { SuiteDocument } from '../support/suite.ts';
import { runTestsInside } from '../support/tests-inside.ts';

const skip = labMissing();

describe('injection', { skip, timeout: 900_000 }, () => {
  for (const lane of lanes)
    test(`${lane}: the methods do what they say, and refuse what they do not do`, async () => {
      const run = await runTestsInside(lane, ['host/injection.test.ts'], { counts: 1 });
      assert.deepEqual(
        run.tests.filter(({ error }) => error !== null).map(({ name, error }) => `${name}: ${error}`),
        [],
        run.stdout + run.stderr,
      );
      const skipped = run.tests.filter((one) => one.skip !== false).map(({ name }) => name);
      const ioctls = ['KVM_DSM_IPI', 'KVM_DSM_X2APIC', 'KVM_DSM_APIC_BASE'];
      assert.deepEqual(
        skipped,
        ioctls.map((name) => `${name}: a kernel without it is told as such`),
        'what needs the ioctls ran',
      );
    });

  test('what crashes a kernel is skipped unless it is asked for, and then told with the words of its log', () => {
    const spared = suite(['injection.crash', '--on', 'svm']);
    assert.equal(spared.code, 4);
    assert.deepEqual(
      spared.document.checks.map(({ verdict, reason }) => [verdict, /--destructive/.test(reason!)]),
      new Array(3).fill(['skip', true]),
    );
    // --strict: the words of the failure itself, instead of those of the shortfall.
    const { code, document } = suite(['injection.crash', '--on', 'svm', '--destructive', '--strict']);
    assert.equal(code, 1);
    const reasons = new Map(document.checks.map(({ id, reason }) => [id, reason]));
    assert.match(reasons.get('injection.crash.no-vcpu')!, /BUG: kernel NULL pointer dereference/);
    assert.match(reasons.get('injection.crash.no-lapic')!, /BUG: kernel NULL pointer dereference/);
    assert.match(reasons.get('injection.crash.x2apic-icr')!, /WARNING: .*kvm_lapic_reg_write/);
  });
});

test('--destructive is for the lab: a host is spared all the same', { skip: noKvm }, () => {
  const { document } = suite(['injection.crash', '--on', 'host', '--destructive']);
  assert.deepEqual(
    document.checks.map(({ verdict }) => verdict),
    ['skip', 'skip', 'skip'],
  );
});

describe('the reserved exits', { skip, timeout: 600_000 }, () => {
  for (const lane of lanes)
    test(`${lane}: the doctor tells which the kernel makes, and what switches them`, () => {
      const made = (...cmdline: string[]) => {
        const { stdout, stderr } = kvmDsm(['doctor', '--on', lane, '--json', ...cmdline], 200);
        assert.notEqual(stdout, '', stderr);
        const { checks } = JSON.parse(stdout) as { checks: HealthCheck[] };
        assert.equal(checks.find(({ id }) => id === 'injection')?.status, 'ok');
        return checks.find(({ id }) => id === 'exits')!.finding;
      };
      assert.match(made(), /44 no \(kvm\.dsm_exit_dapic\), 45 yes, 46 no \(kvm\.dsm_exit_x2_icr\), 47 no /);
      assert.match(made('--cmdline', 'kvm.dsm_exit_x2_icr=1'), /44 no \S+, 45 yes, 46 yes \S+, 47 no /);
    });
});

function suite(args: readonly string[]): { code: number | null; document: SuiteDocument } {
  const { code, stdout, stderr } = kvmDsm(['test', ...args, '--json'], 300);
  assert.notEqual(stdout, '', stderr);
  return { code, document: JSON.parse(stdout) as SuiteDocument };
}
