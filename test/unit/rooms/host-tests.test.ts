/** What test/host and test/teardown import: their files run in the lab as well, where the package is there as programs have it. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';
import { root } from '../../support/command.ts';

const folders = ['test/host', 'test/teardown'];

test('a test there, and what it imports of test/support, imports lib/index.ts alone (types are no import)', () => {
  const todo = folders.flatMap((folder) => readdirSync(join(root, folder)).map((name) => join(folder, name)));
  const seen = new Set<string>();
  const wrong: string[] = [];
  for (let file = todo.pop(); file !== undefined; file = todo.pop()) {
    if (seen.has(file)) continue;
    seen.add(file);
    for (const [, path] of readFileSync(join(root, file), 'utf8').matchAll(
      /^(?:import (?!type)[^;]*?|export [^;]*?)from '(\.[^']*)'/gm,
    )) {
      const to = normalize(join(dirname(file), path!));
      if (to.startsWith('test/')) todo.push(to);
      else if (to.startsWith('lib/') && to !== 'lib/index.ts') wrong.push(`${file} -> ${to}`);
    }
  }
  assert.ok(seen.size > 20, `${seen.size} files`);
  assert.deepEqual(wrong, []);
});

test('a program beside a test is found by programBeside(): inside it has another name', () => {
  const wrong = folders.flatMap((folder) =>
    readdirSync(join(root, folder)).filter((name) =>
      /new URL\(['"`][^'"`]*\.ts['"`]/.test(readFileSync(join(root, folder, name), 'utf8')),
    ),
  );
  assert.deepEqual(wrong, []);
});
