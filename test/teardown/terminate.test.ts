/** Workers that are terminated while they call the addon, or are called by it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runChild } from '../support/child.ts';
import { scaled } from '../support/counts.ts';
import { noKvm } from '../support/host.ts';
import { programBeside } from '../support/library.ts';

const child = programBeside(import.meta.url, 'terminate-child.ts');
/** A round takes a second or so, a minute with sanitizers or in the lab; what takes this long hangs. */
const DEADLINE = 300_000;
const ROUNDS = scaled(12, 1);

for (const work of ['records', 'exits', 'news', 'runs', 'refusals', 'guests', 'eventfds']) {
  test(`${ROUNDS} times two workers are terminated in the midst of ${work}`, { skip: noKvm }, async () => {
    const { status, signal, stdout, stderr } = await runChild(child, [work, String(ROUNDS)], DEADLINE);
    const what = `${work}: status ${status}, signal ${signal}\n${stdout}${stderr}`;
    assert.equal(signal, null, signal === 'SIGKILL' ? `it hangs: ${what}` : `it crashed: ${what}`);
    assert.equal(status, 0, what);
    assert.equal(stdout, 'ok\n', what);
    assert.equal(stderr, '', what);
  });
}
