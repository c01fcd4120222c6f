/**
 * The TypeScript of the pages. A block ```ts that imports from kvm-dsm is a program: it is checked as a user's is, and
 * test/docs/commands.test.ts runs it. ```ts fragment is a part of one: what it stands on is in a comment right before it,
 * <!-- before: import ... --> in one line. ```ts <name>.ts is a step of the tutorial, or a file that a command names.
 */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { root, runProgram } from '../support/command.ts';
import { type Snippet, snippets } from '../support/snippets.ts';

const folder = mkdtempSync(join(tmpdir(), 'kvm-dsm-snippets-'));
after(() => rmSync(folder, { recursive: true }));
mkdirSync(join(folder, 'node_modules'));
for (const [name, to] of [
  ['kvm-dsm', root],
  ['@types', join(root, 'node_modules/@types')],
] as const)
  symlinkSync(to, join(folder, 'node_modules', name));

/** The block at its own line, so that the compiler names the line of the page. */
function moduleOf({ line, before, text }: Snippet): string {
  return `${'\n'.repeat(line - 2)}${before}\n${text}\nexport {};\n`;
}

/** The errors of one program that has all of them, as lines `docs-kit.md-94.ts(96,3): error ...`. */
function errorsOf(all: readonly Snippet[]): string[] {
  for (const snippet of all) writeFileSync(join(folder, snippet.file), moduleOf(snippet));
  const compilerOptions = {
    target: 'es2022',
    lib: ['es2023', 'esnext.disposable'],
    module: 'nodenext',
    types: ['node'],
    strict: true,
    skipLibCheck: true,
    noEmit: true,
  };
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }));
  const { code, stdout, stderr } = runProgram('node_modules/.bin/tsc', ['-p', folder, '--pretty', 'false'], 120);
  assert.notEqual(code, null, stderr);
  return stdout.split('\n').filter((line) => line.includes('error TS'));
}

test('every block of TypeScript in the pages has types that hold', () => {
  assert.ok(snippets.length >= 15, `${snippets.length} blocks`);
  assert.deepEqual(errorsOf(snippets), []);
});

test('a mistake in a block is told, with the line of the page', () => {
  const [first] = snippets.filter(({ page }) => page === 'docs/kit.md');
  const wrong = { ...first!, file: 'wrong.ts', text: first!.text.replace('vcpus: 2', 'vcpu: 2') };
  const [error, ...more] = errorsOf([wrong]);
  assert.deepEqual(more, []);
  const line = first!.line + first!.text.split('\n').findIndex((words) => words.includes('vcpus: 2'));
  assert.match(error!, new RegExp(`wrong\\.ts\\(${line},\\d+\\): error TS\\d+: .*'vcpu'`));
});

test('what a block that is no program stands on is told before it', () => {
  for (const { page, line, kind, before, text } of snippets) {
    assert.ok(kind === 'fragment' || before === '', `${page}:${line}: a program has no comment before it`);
    assert.ok(kind !== 'program' || /^import .* from 'kvm-dsm/ms.test(text), `${page}:${line}: give it its imports`);
  }
});
