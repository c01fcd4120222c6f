/** kvm_run is JavaScript's as well: what it writes there while a vCPU's thread reads it never moves a byte elsewhere. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runChild } from '../support/child.ts';
import { noKvm } from '../support/host.ts';
import { programBeside } from '../support/library.ts';

const child = programBeside(import.meta.url, 'kvm-run-writes-child.ts');
const DEADLINE = 60_000;

test('the fields of an IO exit are written while such exits are recorded', { skip: noKvm }, async () => {
  const { status, signal, stdout, stderr } = await runChild(child, [], DEADLINE);
  assert.deepEqual({ status, signal, stdout, stderr }, { status: 0, signal: null, stdout: 'ok\n', stderr: '' });
});
