/** The whole suite on the lab kernel while it speaks GiantVM's numbers: nothing fails, and what is known is xfail. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shortfallOf } from '../../lib/suite/check.ts';
import { subjects } from '../../lib/suite/subjects/index.ts';
import { kvmDsm } from '../support/command.ts';
import { labMissing } from '../support/lab.ts';
import type { SuiteDocument } from '../support/suite.ts';

const checks = subjects.flatMap((subject) => subject.checks);

for (const lane of ['svm', 'vmx'] as const)
  for (const profile of ['gvm-main', 'gvm-old'])
    test(`the suite on ${lane} by profile ${profile}`, { skip: labMissing(), timeout: 1_200_000 }, () => {
      const args = ['test', '--on', lane, '--profile', 'auto', '--cmdline', `kvm.dsm_abi=${profile}`, '--json'];
      const { stdout, stderr } = kvmDsm([...args, '--timeout', '1000'], 1100);
      assert.notEqual(stdout, '', stderr);
      const document = JSON.parse(stdout) as SuiteDocument;
      const strange = document.checks.filter(({ id, verdict }) => {
        const check = checks.find((one) => one.id === id)!;
        return verdict !== 'skip' && verdict !== (shortfallOf(check, profile) ? 'xfail' : 'pass');
      });
      assert.deepEqual(
        strange.map(({ id, verdict, reason }) => `${id} ${verdict}: ${reason}`),
        [],
      );
    });
