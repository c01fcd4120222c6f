/** The data directives: db, dw, dd, dq. */
import { hex } from '../../base/text.ts';
import { AsmError } from './error.ts';
import { hasRoom } from './fits.ts';
import type { Source } from './source.ts';
import type { Body, Expression } from './syntax.ts';
import { dependsOnPlace, type Value } from './value.ts';

type Data = Extract<Body, { kind: 'data' }>;

/** The bytes of `db`, `dw`, `dd`, `dq`; strings are padded to whole units. */
export function bytesOfData(
  { unit, items }: Data,
  source: Source,
  at: bigint,
  worth: (expression: Expression) => Value,
  strict: boolean,
): Uint8Array {
  const bytes: number[] = [];
  for (const item of items) {
    if (item.kind === 'inlined') {
      for (const byte of source.inlined[item.index]!.at(at + BigInt(bytes.length))) bytes.push(byte);
    } else if (item.value.kind === 'string') {
      bytes.push(...item.value.bytes);
      while (bytes.length % unit) bytes.push(0);
    } else {
      const value = worth(item.value);
      const { number } = value;
      if (strict && !hasRoom(number, unit * 8)) {
        const reason = `${hex(number)} does not fit into ${unit * 8} bits`;
        throw new AsmError(
          item.place,
          reason.replace('0x-', '-0x'),
          'Use a wider unit: dw, dd or dq.',
          dependsOnPlace(value),
        );
      }
      for (let index = 0; index < unit; index++) bytes.push(Number((number >> BigInt(8 * index)) & 0xffn));
    }
  }
  return Uint8Array.from(bytes);
}
