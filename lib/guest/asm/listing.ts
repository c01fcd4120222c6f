/** A listing: address, bytes and text. */
import { hexBytes } from '../../base/text.ts';
import type { AssembledLine } from './assemble.ts';

const BYTES_PER_ROW = 8;

/** Address, bytes and text, line by line; lines without bytes have no address. */
export function renderListing(
  lines: readonly AssembledLine[],
  texts: readonly string[],
  numbers: readonly number[],
): string {
  const byLine = new Map(lines.map((line) => [line.line, line]));
  const last = lines.at(-1);
  const width = last ? Math.max(8, last.address.toString(16).length) : 8;
  const rows = texts.flatMap((text, index) => rowsOf(byLine.get(index + 1), text, numbers[index]!, width));
  // A template begins and ends with a line break that is not worth a row.
  while (rows.length > 0 && isEmpty(rows[0]!)) rows.shift();
  while (rows.length > 0 && isEmpty(rows.at(-1)!)) rows.pop();
  return rows.map((row) => row.trimEnd()).join('\n');
}

function rowsOf(line: AssembledLine | undefined, text: string, number: number, width: number): string[] {
  const bytes = line?.bytes ?? new Uint8Array();
  const prefix = String(number).padStart(4);
  const column = BYTES_PER_ROW * 3;
  const rows: string[] = [];
  for (let at = 0; at === 0 || at < bytes.length; at += BYTES_PER_ROW) {
    const address =
      bytes.length > 0 ? (line!.address + BigInt(at)).toString(16).padStart(width, '0') : ' '.repeat(width);
    const shown = hexBytes(bytes.subarray(at, at + BYTES_PER_ROW));
    rows.push(`${at === 0 ? prefix : '    '}  ${address}  ${shown.padEnd(column)} ${at === 0 ? text : ''}`);
  }
  return rows;
}

function isEmpty(row: string): boolean {
  return /^\s*\d+\s*$/.test(row);
}
