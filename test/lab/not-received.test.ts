/** An IPI that the kernel loses on its way: an error of its own. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jsonLines, kvmDsm } from '../support/command.ts';
import { labMissing } from '../support/lab.ts';

const skip = labMissing();

interface Told {
  code: string;
  message: string;
  advice: string;
}

test('svm: a kernel that forwards an IPI and does not deliver it', { skip }, () => {
  const lost = ['--cmdline', 'kvm.dsm_fault=skip-local'];
  const { code, stdout, stderr } = kvmDsm(['run', 'examples/handled.ts', '--on', 'svm', '--json', ...lost], 300);
  assert.equal(code, 1, stdout + stderr);
  const error = jsonLines(stdout).at(-1)!.error as Told;
  assert.equal(error.code, 'ERR_NOT_RECEIVED', error.message);
  assert.match(
    error.message,
    /^vCPU 1 has not received what was sent: vCPU 0 sent it vector 0xf0, as #1, which it has/,
  );
  assert.match(error.message, /^The guest did not come to vector 0xf0 handled on vCPU 1 within 10000 ms/m);
  assert.match(error.advice, /kvm-dsm test transparency once/);
});
