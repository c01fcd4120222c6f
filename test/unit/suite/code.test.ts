/** The suite's ready-made instructions are what their text says. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { asm } from '../../../lib/index.ts';
import { encodings } from '../../../lib/suite/kit/code.ts';
import { forms } from '../../../lib/suite/subjects/transparency/forms.ts';
import { root } from '../../support/command.ts';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

for (const { mode, text, bytes } of encodings)
  test(`${mode}: ${text.replace(/\s+/g, ' ')}`, () => {
    assert.equal(hex(bytes), hex(asm[mode](text).bytes));
  });

for (const { word, bits, bytes, nasm } of forms)
  for (const width of bits)
    test(`transparency.write.${word}, ${width} bits`, () => {
      const [base, offset, value] = [0x8091_a000, 0x310, 0x4c5d_6e7f];
      const [mode, register] = width === 64 ? (['long64', 'rbx'] as const) : (['flat32', 'ebx'] as const);
      const text = nasm({ base: register, target: base + offset, offset, value }, width);
      assert.equal(hex(Uint8Array.from(bytes({ base, offset, value }, width))), hex(asm[mode](text).bytes), text);
    });

test('no check has instructions as bytes of its own', () => {
  const subjects = join(root, 'lib/suite/subjects');
  const files = readdirSync(subjects, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.ts'));
  const raw = files.filter((path) =>
    /Uint8Array\.(?:of|from)\(\[?\s*(?:\.\.\.\[)?0x/.test(readFileSync(join(subjects, path), 'utf8')),
  );
  assert.deepEqual(raw, [], 'they belong to kit/code.ts, with their text');
});
