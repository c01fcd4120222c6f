// The assembler's bytes are nasm's, line by line and as a whole; and text made of bytes is text for these bytes.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { AsmError, asm, disassemble } from '../../../lib/index.ts';
import { type Bits, corpus, hex, ORIGIN, packed, SLOT, slotted } from '../../support/asm-corpus.ts';
import { nasm, noNasm } from '../../support/nasm.ts';

const assemblers = { 16: asm.real16, 32: asm.flat32, 64: asm.long64 } as const;
const modes = { 16: 'real16', 32: 'flat32', 64: 'long64' } as const;

/** Lines whose bytes are others than nasm's, and why. */
const different: Record<Bits, Record<string, string>> = {
  16: {},
  32: {},
  64: {
    'mov dword [0xfee00300], 0x40f0': 'nasm warns and writes to 0xfffffffffee00300; here a 32-bit address is encoded',
    'mov eax, [0xfee00020]': 'the same',
    'mov [0xfee000b0], ecx': 'the same',
    'mov rax, [fs:0xfee00300]': 'the same',
    'mov eax, [rel 0x1234]':
      'nasm warns and leaves rel out: it does not know how far away a number is; here it is known',
    'invpcid rax, [rsi]': 'nasm adds a REX.W that the instruction ignores',
  },
};

/** Lines whose text after disassembly is that of a shorter encoding, and why. */
const lossy: [RegExp, string][] = [
  [/nosplit|\[(?:byte|word|dword) (?:[er]?[abcd]x|[er]?[bs]p)/, 'no text tells how many bytes a displacement has'],
  [/^mov (?:eax|rax), \[(?:fs:)?0xfee/, 'with a 32-bit address the accumulator has a shorter form, which nasm prefers'],
  [/^a\d\d (?:nop|jmp \.|jz|call)|^o16 ret$/, 'the decoder drops a prefix without a meaning'],
];

/** Few enough for 16-bit distances in a file of slots. */
const CHUNK = 150;

for (const bits of [16, 32, 64] as const) {
  const lines = corpus(bits);

  test(`${lines.length} lines of ${bits}-bit code, each for itself`, { skip: noNasm }, () => {
    const wrong: string[] = [];
    const seen = new Set<string>();
    for (let at = 0; at < lines.length; at += CHUNK) {
      const chunk = lines.slice(at, at + CHUNK);
      const theirs = nasm(`bits ${bits}\norg ${ORIGIN}\n${slotted(chunk)}`);
      const ours = assemblers[bits](slotted(chunk)).at(ORIGIN).bytes;
      chunk.forEach((line, index) => {
        const slot = (bytes: Uint8Array) =>
          hex(bytes.subarray(index * SLOT, (index + 1) * SLOT)).replace(/(?:cc)+$/, '');
        const equal = slot(ours) === slot(theirs);
        if (Object.hasOwn(different[bits], line)) seen.add(line);
        if (equal === Object.hasOwn(different[bits], line))
          wrong.push(
            equal ? `${line}: equal now, remove it from the list` : `${line}: ${slot(ours)}, nasm ${slot(theirs)}`,
          );
      });
    }
    assert.deepEqual(wrong, []);
    assert.deepEqual([...seen].sort(), Object.keys(different[bits]).sort());
  });

  test(`${bits}-bit code as a whole`, { skip: noNasm }, () => {
    const equal = lines.filter((line) => !Object.hasOwn(different[bits], line));
    // At 0 a label's address has room in a byte, and yet is never put into one.
    for (const origin of [ORIGIN, 0]) {
      const theirs = nasm(`bits ${bits}\norg ${origin}\n${packed(equal)}`);
      assert.equal(hex(assemblers[bits](packed(equal)).at(origin).bytes), hex(theirs));
    }
  });

  test(`a ${bits}-bit program`, { skip: noNasm }, () => {
    const text = readFileSync(new URL(`../../guest/asm-program-${bits}.asm`, import.meta.url), 'utf8');
    assert.equal(hex(assemblers[bits](text).bytes), hex(nasm(text)));
  });

  test(`${bits}-bit code, disassembled and assembled again`, () => {
    const wrong: string[] = [];
    for (const line of lines) {
      if (/^(?:d[bwdq]|times|alignb?)\b/.test(line)) continue;
      // What `start` and `end` mean is far enough away for near jumps.
      const code = assemblers[bits](`start:\n.here:\n${line}\n.next:\ntimes 300 db 0xcc\nend:`).at(ORIGIN);
      const bytes = code.bytes.subarray(0, Number(code.label('start.next')) - ORIGIN);
      const text = disassemble(bytes, { mode: modes[bits], origin: ORIGIN }).map((each) => each.text);
      const equal = reassembled(bits, text) === hex(bytes);
      const excused = lossy.some(([pattern]) => pattern.test(line));
      if (!equal && !excused) wrong.push(`${line}: ${hex(bytes)} became ${text.join('; ')}`);
    }
    assert.deepEqual(wrong, []);
  });
}

function reassembled(bits: Bits, text: readonly string[]): string {
  try {
    return hex(assemblers[bits](text.join('\n')).at(ORIGIN).bytes);
  } catch (error) {
    if (error instanceof AsmError) return error.message;
    throw error;
  }
}

test('every excuse is needed', () => {
  for (const [pattern, why] of lossy)
    assert.ok(
      ([16, 32, 64] as const).some((bits) => corpus(bits).some((line) => pattern.test(line))),
      why,
    );
});
