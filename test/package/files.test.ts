/** How many files a start loads, and what the package is made of. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { SourceMap } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { root } from '../support/command.ts';

const dist = join(root, 'dist');

/** The files of dist that Node.js reads to load these. */
function loadedFiles(...entries: string[]): string[] {
  const found = new Set<string>();
  const queue = entries.map((entry) => join(dist, entry));
  for (const path of queue) {
    if (found.has(path)) continue;
    found.add(path);
    const imports = readFileSync(path, 'utf8').matchAll(
      /^(?:import|export)[^;]*? from "(\.[^"]+)";|^import "(\.[^"]+)";/gm,
    );
    queue.push(...[...imports].map(([, from, bare]) => join(dirname(path), (from ?? bare)!)));
  }
  return [...found].map((path) => relative(dist, path)).sort();
}

describe('what a start loads', () => {
  for (const entry of [
    'index.js',
    'faces/kvm.js',
    'faces/abi.js',
    'faces/guest.js',
    'faces/trace.js',
    'faces/suite.js',
  ]) {
    test(`${entry} loads few files, and nothing of the command, the lab or the checks`, () => {
      const files = loadedFiles(entry);
      assert.ok(files.length <= 4, files.join(' '));
      assert.deepEqual(
        files.filter((file) => /cli|runner|subjects|chunks\/lab/.test(file)),
        [],
      );
    });
  }

  test('the command loads neither the kit, nor the lab, nor the checks before it knows what is asked', () => {
    assert.deepEqual(loadedFiles('cli/main.js'), ['cli/main.js']);
    const [, start] = /import\("\.\.\/(chunks\/[\w-]+\.js)"\)/.exec(readFileSync(join(dist, 'cli/main.js'), 'utf8'))!;
    const files = loadedFiles(start!);
    assert.ok(files.length <= 4, files.join(' '));
    assert.deepEqual(
      files.filter((file) => /kit|runner|subjects|chunks\/lab/.test(file)),
      [],
    );
  });
});

test('a place in the built code leads back to its line in lib', () => {
  const code = readFileSync(join(dist, 'chunks/kit.js'), 'utf8').split('\n');
  const line = code.findIndex((text) => text.includes('class GuestMemory '));
  const map = new SourceMap(JSON.parse(readFileSync(join(dist, 'chunks/kit.js.map'), 'utf8')));
  const entry = map.findEntry(line, code[line]!.indexOf('class')) as { originalSource: string; originalLine: number };
  const source = new URL(entry.originalSource, pathToFileURL(join(dist, 'chunks/')));
  assert.match(readFileSync(source, 'utf8').split('\n')[entry.originalLine]!, /class GuestMemory/);
});

test('the package has what runs, its types and its documents, and no sources of what is built', () => {
  const args = ['pack', '--dry-run', '--ignore-scripts', '--json'];
  const { stdout, status, stderr } = spawnSync('npm', args, { cwd: root, encoding: 'utf8', timeout: 120_000 });
  assert.equal(status, 0, stderr);
  const [packed] = JSON.parse(stdout) as [{ unpackedSize: number; files: { path: string; size: number }[] }];
  const paths = packed.files.map(({ path }) => path);
  assert.deepEqual(
    paths.filter((path) => /\.map$|^(?:lib|native|test|tools|out|build)\/|\.mbox$/.test(path)),
    [],
  );
  const inputs = readdirSync(join(root, 'kernel'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)));
  const missing = inputs.filter((path) => !paths.includes(path) && !path.startsWith('kernel/mails/'));
  assert.deepEqual(missing, []);
  const own = packed.files.filter(({ path }) => !path.startsWith('prebuilds/'));
  const bytes = own.reduce((sum, { size }) => sum + size, 0);
  assert.ok(bytes <= 2_830_000, `${bytes} bytes`);
});
