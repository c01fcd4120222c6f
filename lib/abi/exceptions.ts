/** Names of the vectors 0 to 31, the CPU's exceptions. */
import { checkInteger, checkText } from '../base/check.ts';
import { ArgumentError } from '../base/errors.ts';
import { suggest } from '../base/nearest.ts';
import type { ValueCheck } from '../base/shape.ts';
import { hex, show } from '../base/text.ts';

/** The vector that an NMI comes by, and that the counters have it under. */
export const NMI_VECTOR = 2;

/** Vectors 0 to 31. Source: Intel SDM volume 3, "Protected-Mode Exceptions and Interrupts". */
const mnemonics: Record<number, string> = {
  0: '#DE',
  1: '#DB',
  2: 'NMI',
  3: '#BP',
  4: '#OF',
  5: '#BR',
  6: '#UD',
  7: '#NM',
  8: '#DF',
  10: '#TS',
  11: '#NP',
  12: '#SS',
  13: '#GP',
  14: '#PF',
  16: '#MF',
  17: '#AC',
  18: '#MC',
  19: '#XM',
  20: '#VE',
  21: '#CP',
  28: '#HV',
  29: '#VC',
  30: '#SX',
};

/** `#GP` for 13, `vector 0x41` for what has no name. @throws ArgumentError unless it is from 0 to 255 */
export function vectorName(vector: number): string {
  checkInteger('vector', vector, 0, 255);
  return mnemonics[vector] ?? `vector ${hex(vector)}`;
}

/** A vector from a number or the name of an exception. Throws ArgumentError. */
export function vectorIn(argument: string, vector: number | string): number {
  if (typeof vector === 'number') return checkInteger(argument, vector, 0, 255);
  const name = checkText(argument, vector).toLowerCase();
  const found = Object.entries(mnemonics).find(([, mnemonic]) => mnemonic.toLowerCase() === name);
  if (found) return Number(found[0]);
  throw new ArgumentError(
    argument,
    `${show(vector)} is neither a vector, a number from 0 to 255, nor the name of an exception`,
    suggest(
      vector as string,
      Object.values(mnemonics),
      'Write it like "#GP" or "NMI", or give the vector as a number.',
    ),
  );
}

/** A vector from 0 to 255, or the name of an exception. */
export const vectorCheck: ValueCheck<number | string> = (argument, value) => {
  vectorIn(argument, value as number | string);
  return value as number | string;
};
