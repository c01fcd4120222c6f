/** Numbers and characters as NASM writes them. */
const radixes: Record<string, number> = { b: 2, y: 2, o: 8, q: 8, d: 10, t: 10, h: 16, x: 16 };

/**
 * A number as NASM writes it: `200`, `0xc8`, `0c8h`, `$0c8`, `310q`, `0b1100_1000`, ...; undefined if it is none.
 *
 * Where both a prefix and a suffix could be meant (`0bh`) the greater radix wins.
 */
export function parseNumber(text: string): bigint | undefined {
  const word = text.toLowerCase();
  const prefix = word[0] === '$' ? 16 : word[0] === '0' && word.length > 1 ? (radixes[word[1]!] ?? 0) : 0;
  const suffix = word.length > 1 ? (radixes[word.at(-1)!] ?? 0) : 0;
  if (prefix > suffix) return digits(word.slice(word[0] === '$' ? 1 : 2), prefix);
  if (suffix > prefix) return digits(word.slice(0, -1), suffix);
  return digits(word, 10);
}

function digits(text: string, radix: number): bigint | undefined {
  const plain = text.replaceAll('_', '');
  if (plain.length === 0) return undefined;
  let value = 0n;
  for (const character of plain) {
    const digit = Number.parseInt(character, radix);
    if (Number.isNaN(digit)) return undefined;
    value = value * BigInt(radix) + BigInt(digit);
    if (value >> 64n) return undefined;
  }
  return value;
}

/** A character constant as a number: the first character is the lowest byte. */
export function characterValue(bytes: Uint8Array): bigint {
  return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
}
