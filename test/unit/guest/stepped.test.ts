/** A program with schedule points between its instructions. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asm, disassemble, done, idle, sync } from '../../../lib/index.ts';

const stepped = (text: string) =>
  disassemble(asm.flat32(text).stepped().bytes, { mode: 'flat32' }).map((line) => line.text);
const POINT = 'out 0xec, al';

test('one before each instruction, and a label stands before its own', () => {
  assert.deepEqual(stepped('mov eax, 1\nagain: dec eax\njnz again'), [
    POINT,
    'mov eax, 1',
    POINT,
    'dec eax',
    POINT,
    'jne short 7',
  ]);
});

test('none behind sti, mov ss and pop ss, whose shadow it would end', () => {
  assert.deepEqual(stepped('cli\nsti\nhlt\nmov ss, ax\nmov esp, 1\npop ss\nnop\nnop'), [
    ...[POINT, 'cli', POINT, 'sti', 'hlt', POINT, 'mov ss, eax', 'mov esp, 1', POINT, 'pop ss', 'nop', POINT, 'nop'],
  ]);
});

test('none beside what tells the host something, which is one itself', () => {
  const code = asm.flat32`
    nop
    ${sync(7)}
    ${done()}`;
  const lines = disassemble(code.stepped().bytes, { mode: 'flat32' }).map(({ text }) => text);
  assert.deepEqual(lines, [
    POINT,
    'nop',
    POINT,
    'mov eax, 7',
    'out 0xd0, eax',
    'out 0xd8, eax',
    'hlt',
    POINT,
    'jmp short 0xe',
  ]);
  assert.ok(asm.flat32`${idle()}`.stepped().bytes.length > 0);
});

test('data and repeated instructions stay together', () => {
  assert.deepEqual(stepped('times 3 nop\ndb 0x90, 0x90\nnop'), [
    POINT,
    'nop',
    'nop',
    'nop',
    'nop',
    'nop',
    POINT,
    'nop',
  ]);
});

test('it has labels at its own places, and knows what stands where', () => {
  const code = asm.flat32('nop\nhere: inc eax\ndd here').stepped().at(0x1000);
  assert.equal(code.label('here'), 0x1003n);
  assert.deepEqual(
    code.instructions().map(({ address, text }) => [address, text]),
    [
      [0x1000, 'nop'],
      [0x1002, 'nop'],
      [0x1003, 'here: inc eax'],
      [0x1005, 'here: inc eax'],
      [0x1006, 'dd here'],
    ],
  );
});

test('an instruction that counts from where it lies is refused', () => {
  assert.throws(() => asm.flat32('nop\njmp $').stepped(), {
    code: 'ERR_ASM',
    line: 2,
    message: /counts from where it lies/,
  });
  assert.throws(() => asm.flat32('jmp short $ + 4').stepped(), { code: 'ERR_ASM' });
});
