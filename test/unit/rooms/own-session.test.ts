/** No test uses, or takes down, a machine of the lab that the user has up: each file's processes have a session of their own. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';
import { root } from '../../support/command.ts';
import { isTestSession } from '../../support/own-session.ts';

/** What a file does that starts the command or a machine. */
const starts = /cli\/main\.js|\b(?:runInLab|laneExecutor)\b/;
const ownSession = 'test/support/own-session.ts';

/** A file of the tests and all that it imports of them. */
function withImports(file: string, seen = new Set<string>()): Set<string> {
  if (seen.has(file)) return seen;
  seen.add(file);
  for (const [, path] of readFileSync(join(root, file), 'utf8').matchAll(
    /^(?:import|export) [^;]*?'(\.[^']*\.ts)'/gm,
  )) {
    const to = normalize(join(dirname(file), path!));
    if (to.startsWith('test/') && existsSync(join(root, to))) withImports(to, seen);
  }
  return seen;
}

test('each file of tests that starts the command or a machine has a session of its own', () => {
  const files = readdirSync(join(root, 'test')).flatMap((folder) =>
    readdirSync(join(root, 'test', folder))
      .filter((name) => name === 'main.ts' || name.endsWith('.test.ts'))
      .map((name) => join('test', folder, name)),
  );
  const closures = files.map((file) => ({ file, all: withImports(file) }));
  const able = closures.filter(({ all }) =>
    [...all].some((path) => starts.test(readFileSync(join(root, path), 'utf8'))),
  );
  assert.ok(able.length > 50, `${able.length} of ${files.length} files`);
  assert.deepEqual(
    able.filter(({ all }) => !all.has(ownSession)).map(({ file }) => file),
    [],
  );
});

test('and that session is the one of the processes that it starts', () => {
  assert.ok(isTestSession(process.env.XDG_RUNTIME_DIR), process.env.XDG_RUNTIME_DIR);
});
