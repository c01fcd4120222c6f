import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { AsmError, asm } from '../../lib/index.ts';
import { root } from '../support/command.ts';

const page = readFileSync(join(root, 'docs/assembler.md'), 'utf8');

test('the example of the page on the assembler', () => {
  const text = /code = asm\.flat32`(.*?)`;/s.exec(page)![1]!;
  const code = asm.flat32(text.replaceAll(/\$\{ICR\}/g, '0xfee00300')).at(0x1000);
  assert.deepEqual([...code.labels.keys()], ['start', 'start.pending']);
  assert.equal(code.bytes.at(-1), 0xf4);
});

test('the error of the page on the assembler', () => {
  const [, text] = /3 \| {5}(mov .*)/.exec(page)!;
  assert.throws(
    () => asm.flat32(`\n\n    ${text}`),
    (error) => error instanceof AsmError && page.includes(`${error.message}\n${error.advice}\n`),
  );
});

test('a name that is an instruction, with a dollar sign', () => {
  assert.equal(asm.flat32('$loop: jmp $loop').label('loop'), 0n);
});
