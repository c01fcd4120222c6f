/** docs/errors.md against the code: every code is in the table, and nothing else is. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { errnoName } from '../../../lib/base/errno.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));

function sources(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return sources(path);
    return entry.name.endsWith('.ts') ? [path] : [];
  });
}

const inCode = new Map<string, string>();
for (const path of sources(join(root, 'lib')))
  for (const [, code] of readFileSync(path, 'utf8').matchAll(/['"`](ERR_[A-Z0-9_]+)['"`]/g)) inCode.set(code!, path);

const rows = readFileSync(join(root, 'docs/errors.md'), 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('| `'))
  .map((line) => line.split('|').map((cell) => cell.trim()));
const inTable = rows.map(([, code]) => code!.replaceAll('`', ''));

test('every code is in docs/errors.md', () => {
  const missing = [...inCode].filter(([code]) => !inTable.includes(code)).map(([code, path]) => `${code} (${path})`);
  assert.deepEqual(missing, []);
  assert.ok(inCode.size > 20);
});

test('docs/errors.md has no code that is gone, each once, in order, with every column filled', () => {
  assert.deepEqual(
    inTable.filter((code) => !inCode.has(code)),
    [],
  );
  assert.deepEqual(inTable, [...new Set(inTable)].toSorted());
  for (const [, code, ...cells] of rows) {
    assert.equal(cells.length, 5, `${code}: the table has five columns`);
    for (const cell of cells.slice(0, 4)) assert.ok(cell.length > 0, `${code} has an empty cell`);
  }
});

test('every code is looked for by a test', () => {
  const tests = sources(join(root, 'test')).filter((path) => path !== fileURLToPath(import.meta.url));
  const words = new Set(tests.flatMap((path) => readFileSync(path, 'utf8').match(/ERR_[A-Z0-9_]+/g) ?? []));
  assert.deepEqual(
    inTable.filter((code) => !words.has(code)),
    [],
  );
});

test('the class of each row is the one that throws the code', () => {
  for (const [, code, className] of rows) {
    const plain = code!.replaceAll('`', '');
    const name = className!.replaceAll('`', '');
    if (plain === 'ERR_SCRIPT') continue;

    assert.ok(
      sources(join(root, 'lib')).some((path) => declares(path, name, plain)),
      `${name} has ${plain}`,
    );
  }
});

function declares(path: string, className: string, code: string): boolean {
  const text = readFileSync(path, 'utf8');
  const start = text.indexOf(`class ${className} `);
  if (start < 0) return false;
  const next = text.indexOf('\nexport class ', start + 1);
  return text.slice(start, next < 0 ? undefined : next).includes(`'${code}'`);
}

test('an errno has the name that the kernel gives it', () => {
  assert.deepEqual([errnoName(11), errnoName(95), errnoName(17)], ['EAGAIN', 'EOPNOTSUPP', 'EEXIST']);
  assert.equal(errnoName(9999), 'errno 9999');
  for (const value of new Set(Object.values(constants.errno))) assert.match(errnoName(value), /^E[A-Z0-9]+$/);
});
