/** Parts of sentences that several families of exits have. */
import { hex, hexBytes } from '../base/text.ts';

/** `, data 0x1 0x2`; empty without words. */
export function dataWords(data: readonly bigint[]): string {
  return data.length === 0 ? '' : `, data ${data.map((word) => hex(word)).join(' ')}`;
}

/** The begin of a payload that is not decoded. */
export function rawWords(raw: Uint8Array): string {
  return `payload ${hexBytes(raw.subarray(0, 32))} ...`;
}
