import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runChild } from '../support/child.ts';
import { programBeside } from '../support/library.ts';
import { cases as buffers } from './buffers-cases.ts';
import { cases as natives } from './natives-cases.ts';

const child = programBeside(import.meta.url, 'no-crash-child.ts');
/** A case takes about a second; what takes this long hangs. */
const DEADLINE = 60_000;

for (const name of Object.keys({ ...buffers, ...natives }))
  test(`no crash: ${name}`, async (t) => {
    const { status, signal, stdout, stderr } = await runChild(child, [name], DEADLINE);
    const what = `status ${status}, signal ${signal}\n${stdout}${stderr}`;
    assert.equal(signal, null, signal === 'SIGKILL' ? `it hangs: ${what}` : `it crashed: ${what}`);
    assert.equal(status, 0, what);
    if (stdout.startsWith('skip: ')) t.skip(stdout.slice('skip: '.length).trimEnd());
    else assert.equal(stdout, 'ok\n', what);
  });
