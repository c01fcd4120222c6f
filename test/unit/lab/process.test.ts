/** Programs that end with their command. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findProgram } from '../../../lib/host/programs.ts';
import { runBound } from '../../../lib/lab/process.ts';

const skip = findProgram('setpriv') ? false : 'setpriv is missing';

test('an abort lets a program put away what is half done, with all that it started', { skip }, async () => {
  const abort = new AbortController();
  const child = 'sh -c \'trap "echo child put away; exit" TERM; echo ready; while :; do sleep 0.05; done\'';
  const done = runBound('sh', ['-c', `trap "wait; echo parent put away; exit" TERM; ${child} & wait`], {
    abort: abort.signal,
    onLine: (line) => line === 'ready' && abort.abort(),
  });
  const { output } = await done;
  assert.match(output, /child put away\n[\s\S]*parent put away\n/);
});
