import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kvmDsm } from '../support/command.ts';
import { noKvm } from '../support/host.ts';
import { labMissing } from '../support/lab.ts';

for (const [on, skip] of [
  ['host', noKvm],
  ['svm', labMissing()],
] as const)
  test(`a script on ${on} imports every entry of the package, and each is of one copy`, { skip }, () => {
    const { code, stdout, stderr } = kvmDsm(['run', 'test/cli/scripts/entries.ts', '--on', on], 300);
    assert.equal(code, 0, stdout + stderr);
    assert.match(stdout, /ok: 1 exit/);
  });
