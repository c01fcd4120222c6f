import { readFileSync } from 'node:fs';

export type Bits = 16 | 32 | 64;

/** A corpus' instructions and data, one a line, without comments. */
export function corpus(bits: Bits): string[] {
  const text = readFileSync(new URL(`../guest/asm-corpus-${bits}.txt`, import.meta.url), 'utf8');
  return text.split('\n').filter((line) => line !== '' && !line.startsWith(';'));
}

export const ORIGIN = 0x1000;
export const SLOT = 64;

/** Each line in a slot of its own, so that a line of another length moves no other one. */
export function slotted(lines: readonly string[]): string {
  const slots = lines.map(
    (line, index) => `L${index}:\n.here:\n${line}\n.next:\ntimes ${SLOT} - ($ - L${index}) db 0xcc`,
  );
  return ['start:', ...slots, 'end:', ''].join('\n');
}

/** One line directly behind the other. */
export function packed(lines: readonly string[]): string {
  return ['start:', ...lines.map((line, index) => `L${index}:\n.here:\n${line}\n.next:`), 'end:', ''].join('\n');
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
