/** Workers that are terminated while they call the addon, or are called by it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ChildCases } from '../support/child-cases.ts';
import { scaled } from '../support/counts.ts';
import { noKvm } from '../support/host.ts';
import { programBeside } from '../support/library.ts';

const ROUNDS = scaled(4, 1);
const works = ['records', 'exits', 'news', 'runs', 'refusals', 'guests', 'eventfds'];
const names = works.map((work) => `${work} ${ROUNDS}`);
/** A round takes a second or so, a minute with sanitizers or in the lab; what takes this long hangs. */
const DEADLINE = 900_000;
const cases = new ChildCases(programBeside(import.meta.url, 'terminate-child.ts'), names, DEADLINE);

for (const [index, work] of works.entries())
  test(`${ROUNDS} times two workers are terminated in the midst of ${work}`, { skip: noKvm }, async () => {
    assert.equal(await cases.result(names[index]!), null);
  });
