/** What a script may do to the addon, and no process crashes by it. */
import { test } from 'node:test';
import { ChildCases } from '../support/child-cases.ts';
import { programBeside } from '../support/library.ts';
import { cases as buffers } from './buffers-cases.ts';
import { cases as natives } from './natives-cases.ts';

const names = Object.keys({ ...buffers, ...natives });
/** All cases take seconds, minutes in an emulator; what takes this long hangs. */
const DEADLINE = 400_000;
const cases = new ChildCases(programBeside(import.meta.url, 'no-crash-child.ts'), names, DEADLINE);

for (const name of names)
  test(`no crash: ${name}`, async (t) => {
    const why = await cases.result(name);
    if (why !== null) t.skip(why);
  });
