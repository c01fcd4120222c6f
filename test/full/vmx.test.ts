/** What `npm test` does in the svm lane alone, since it says much the same in both: in the vmx lane. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { root } from '../support/command.ts';
import { labMissing } from '../support/lab.ts';

const HOUR = 3_600_000;

for (const name of ['examples', 'explore', 'faults', 'fuzz', 'injection', 'trace'])
  test(`test/lab/${name}.test.ts holds on vmx as well`, { skip: labMissing(), timeout: HOUR }, () => {
    const args = ['--import', 'tsx', '--test', '--test-reporter=spec', `test/lab/${name}.test.ts`];
    const env = { ...process.env, KVM_DSM_TEST_LANES: 'vmx', NODE_TEST_CONTEXT: undefined };
    const { status, stdout } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8', env, timeout: HOUR });
    assert.equal(status, 0, stdout);
    assert.match(stdout, /^ *✔ vmx/m);
  });
