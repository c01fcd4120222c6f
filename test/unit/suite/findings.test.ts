import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { profiles } from '../../../lib/abi/dsm/profiles.ts';
import { checksOf, findings, findingsDocument, intro, shortfalls } from '../../../tools/docs-findings.ts';

const known = [...profiles.keys()].flatMap((name) => shortfalls(name));
const ids = [...new Set(known.map(({ id }) => id))];

test('every check with a known shortfall belongs to one finding, and every finding has some', () => {
  for (const finding of findings) assert.notDeepEqual(checksOf(finding), [], finding.title);
  assert.deepEqual(findings.flatMap(checksOf).toSorted(), ids.toSorted());
});

test('docs/findings.md names those checks and no others, with the claims that they have', () => {
  const text = readFileSync(findingsDocument, 'utf8');
  assert.ok(text.startsWith(intro()), 'its head is made of the findings: run `npm run docs:findings`');
  const rows = [...text.matchAll(/^- `([^`]+)`: (.*)$/gm)].map(([, id, rest]) => ({ id: id!, rest: rest! }));
  assert.deepEqual(rows.map(({ id }) => id).toSorted(), ids.toSorted(), 'run `npm run docs:findings`');
  for (const { id, claim } of known)
    assert.ok(rows.find((row) => row.id === id)?.rest.startsWith(`${claim} (`), `${id}: run \`npm run docs:findings\``);
});
