/** How many files a start loads, and what the package is made of. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire, SourceMap } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { brotliDecompressSync } from 'node:zlib';
import { root } from '../support/command.ts';

const dist = join(root, 'dist');

/** dist/load.cjs: which parts there are, in which file, and the code of each. */
const loader = createRequire(import.meta.url)(join(dist, 'load.cjs')) as {
  files: Record<string, string>;
  textOf(part: string): string;
};

/** The parts that are loaded with this one, before anything is called. */
function loadedParts(part: string): string[] {
  const found = new Set<string>();
  const queue = [part];
  for (const name of queue) {
    if (found.has(name)) continue;
    found.add(name);
    const needs = loader.textOf(name).matchAll(/(?<!=>)require\("(\.[^"]+)"\)/g);
    queue.push(...[...needs].map(([, other]) => join(dirname(name), other!)));
  }
  return [...found].sort();
}

/** The files that these lie in. */
const filesOf = (parts: readonly string[]): string[] => [...new Set(parts.map((part) => loader.files[part]!))].sort();

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
      const parts = loadedParts(entry);
      assert.deepEqual(filesOf(parts), ['chunks/base.br', 'chunks/kit.br']);
      assert.deepEqual(
        parts.filter((part) => /cli|start|runner|subjects|chunks\/lab/.test(part)),
        [],
      );
    });
  }

  test('the command loads neither the kit, nor the lab, nor the checks before it knows what is asked', () => {
    assert.match(readFileSync(join(dist, 'cli/main.js'), 'utf8'), /await import\('\.\/start\.js'\)/);
    const parts = loadedParts('cli/start.js');
    assert.deepEqual(filesOf(parts), ['chunks/base.br']);
    assert.deepEqual(
      parts.filter((part) => /kit|runner|subjects|chunks\/lab/.test(part)),
      [],
    );
  });

  // In the lab it waits for a command: a kernel is as that finds it, and what is random is drawn then.
  test('what runs scripts asks for no KVM when it is loaded', () => {
    const parts = loadedParts('chunks/runner.js');
    assert.ok(parts.includes('chunks/kit.js'));
    assert.ok(!parts.includes('script/needs-kvm.js'));
  });

  test('a class and a function are called what they are called in lib', async () => {
    const { Kvm, ArgumentError, describeExit } = await import(join(dist, 'index.js'));
    assert.deepEqual([Kvm.name, ArgumentError.name, describeExit.name], ['Kvm', 'ArgumentError', 'describeExit']);
    assert.throws(
      () => describeExit(1),
      (error: Error) =>
        error instanceof ArgumentError && /at describeExit \(.*dist\/chunks\/kit\.js:\d+:\d+\)/.test(error.stack!),
    );
  });
});

test('a place in the built code leads back to its line in lib', () => {
  const code = readFileSync(join(dist, 'chunks/kit.js'), 'utf8').split('\n');
  const line = code.findIndex((text) => text.includes('class GuestMemory'));
  const map = new SourceMap(JSON.parse(readFileSync(join(dist, 'chunks/kit.js.map'), 'utf8')));
  const entry = map.findEntry(line, code[line]!.indexOf('class GuestMemory')) as {
    originalSource: string;
    originalLine: number;
  };
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
    paths.filter((path) =>
      /\.map$|^(?:lib|native|test|tools|out|build|kernel)\/|^dist\/chunks\/.*\.js$|\.mbox$/.test(path),
    ),
    [],
  );
  const words = brotliDecompressSync(readFileSync(join(dist, 'kernel.br')))
    .toString()
    .split('\0');
  const packedInputs = words.filter((_, index) => index % 2 === 0);
  const inputs = readdirSync(join(root, 'kernel'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(join(root, 'kernel'), join(entry.parentPath, entry.name)))
    .filter((path) => !path.startsWith('mails/'));
  assert.deepEqual(packedInputs, inputs.sort());
  for (const [index, name] of packedInputs.entries())
    assert.equal(words[2 * index + 1], readFileSync(join(root, 'kernel', name), 'utf8'), name);
  const own = packed.files.filter(({ path }) => !path.startsWith('prebuilds/'));
  const bytes = own.reduce((sum, { size }) => sum + size, 0);
  assert.ok(bytes <= 1_000_000, `${bytes} bytes`);
});
