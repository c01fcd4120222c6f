import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runChild } from '../support/child.ts';
import { noKvm } from '../support/host.ts';
import { programBeside } from '../support/library.ts';

const child = programBeside(import.meta.url, 'matrix-child.ts');
/** A case takes about a second; what takes this long hangs. */
const DEADLINE = 30_000;

const states = ['idle', 'running', 'hlt', 'handler', 'paused', 'recording'];
const ends: Record<string, { status: number; stderr?: RegExp }> = {
  close: { status: 0 },
  exit: { status: 7 },
  throw: { status: 1, stderr: /on purpose/ },
  terminate: { status: 0 },
  nothing: { status: 0 },
  gc: { status: 0 },
};

for (const state of states) {
  for (const [end, { status, stderr }] of Object.entries(ends)) {
    test(`a vCPU that is ${state}, ended by ${end}`, { skip: noKvm }, async () => {
      const ended = await runChild(child, [state, end], DEADLINE);
      const what = `${state} x ${end}: status ${ended.status}, signal ${ended.signal}\n${ended.stdout}${ended.stderr}`;
      assert.equal(ended.signal, null, ended.signal === 'SIGKILL' ? `it hangs: ${what}` : `it crashed: ${what}`);
      assert.equal(ended.status, status, what);
      assert.equal(ended.stdout, 'ok\n', what);
      if (stderr) assert.match(ended.stderr, stderr);
      else assert.equal(ended.stderr, '', what);
    });
  }
}
