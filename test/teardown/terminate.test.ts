/** Workers that are terminated while they call the addon, or are called by it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runChild } from '../support/child.ts';
import { noKvm } from '../support/host.ts';

const child = fileURLToPath(new URL('terminate-child.ts', import.meta.url));
/** A case takes some ten seconds, three times that with sanitizers; what takes this long hangs. */
const DEADLINE = 300_000;
const ROUNDS = 12;

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
