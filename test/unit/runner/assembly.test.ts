// The assembly of a script, read without running it.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { assemblyErrors } from '../../../lib/runner/check/assembly.ts';
import { templatesOf } from '../../../lib/runner/check/templates.ts';

const folder = mkdtempSync(join(tmpdir(), 'kvm-dsm-assembly-'));
after(() => rmSync(folder, { recursive: true }));

function errors(source: string, options = {}) {
  const file = join(folder, 'script.ts');
  writeFileSync(file, source);
  return assemblyErrors(file, options);
}

const T = '`';

test('templates are found with mode, place and parts, also those that stand in another', () => {
  const source = `const a = asm.flat32${T}nop${T};
  x(asm . long64 ${T}
    \${[1].map((n) => { return ${T}nop \${n}${T}; })}
    \${b(asm.real16${T}hlt${T})}
  ${T});`;
  assert.deepEqual(
    templatesOf(source).map(({ mode, line, column, parts }) => [mode, line, column, parts.length]),
    [
      ['flat32', 1, 22, 1],
      ['long64', 2, 19, 3],
      ['real16', 4, 20, 1],
    ],
  );
});

test('what only looks like one is none', () => {
  const none = [
    `// asm.flat32${T}bogus${T}`,
    `/* asm.flat32${T}bogus${T} */`,
    `'asm.flat32${T}bogus${T}'`,
    `const text = ${T}asm.flat32\\${T}bogus\\${T}${T};`,
    `const quote = /['"${T}]/; const half = 4 / 2 / 1; const other = /[/${T}]/g;`,
    `assert.throws(() => asm.flat32${T}bogus${T})`,
    `const broken = asm.flat32${T}nop`,
  ];
  for (const source of none) assert.deepEqual(templatesOf(source), [], source);
  assert.equal(templatesOf(`f(a) / 2; asm.flat32${T}nop${T}; b / 2`).length, 1);
});

test('an error has its place in the file, and what may have been meant', async () => {
  const [first, ...more] = await errors(`import 'x';\nconst a = asm.flat32${T}\n    nop\n    moov eax, 1${T};\n`);
  assert.deepEqual(more, []);
  assert.deepEqual([first?.code, first?.line, first?.column, first?.text], ['ERR_ASM', 4, 5, 'moov']);
  assert.equal(first!.reason, "There is no instruction 'moov'");
  const [named] = await errors(`asm.flat32${T}moov eax, 1${T}`, { named: true });
  assert.match(named!.reason, /'moov' \(.*script\.ts\)$/);
  assert.match(first!.excerpt, /^ {2}4 \| {5}moov eax, 1/);
  const [oneLine] = await errors(`asm.flat32${T}hlt ebx${T}`);
  assert.deepEqual([oneLine?.line, (oneLine?.column ?? 0) > 11], [1, true]);
});

test('operands and labels count where the whole text is known', async () => {
  assert.equal((await errors(`asm.flat32${T}mov eax, bl${T}`)).length, 1);
  assert.equal((await errors(`asm.flat32${T}jmp nowhere${T}`)).length, 1);
  assert.equal((await errors(`asm.flat32${T}\n again: nop\n jmp again${T}`)).length, 0);
});

test('beside what is interpolated lines are judged by themselves, and labels are not', async () => {
  const within = (line: string) => errors(`asm.flat32${T}\n  \${done()}\n  list: db \${3}\n  ${line}\n${T}`);
  assert.equal((await within('moov eax, 1')).length, 1);
  assert.deepEqual(await within('mov esi, list'), []);
  assert.deepEqual(await within(`moov eax, \${x}`), []);
});
