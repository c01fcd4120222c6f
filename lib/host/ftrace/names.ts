/** What values of an event are called: the tables by which the kernel itself prints it. Source: include/trace/stages/stage3_trace_output.h. */
import type { FieldValue } from './format.ts';

/** A table, and the part of a member that it is asked for. */
export interface NameTable {
  readonly field: string;
  readonly shift: bigint;
  readonly mask: bigint | undefined;
  /** It counts only where this member is that value, or is not. */
  readonly when: { readonly field: string; readonly value: number; readonly is: boolean } | undefined;
  readonly names: ReadonlyMap<number, string>;
}

const TABLE =
  /(?:\(REC->(\w+) == (\d+)\) \? )?__print_symbolic\(\(?REC->(\w+)(?: >> (\d+))?(?: & (0x[\da-f]+|\d+))?\)?, ((?:\{[^}]*\}(?:, )?)*)\)/g;

/** @param text of the event's `format` file */
export function parseNames(text: string): NameTable[] {
  const print = /^print fmt: (.*)$/m.exec(text)?.[1] ?? '';
  const tables: NameTable[] = [];
  let isKnown = true;
  for (const match of print.matchAll(TABLE)) {
    const [, asked, value, field, shift = '0', mask, list] = match;
    // `a == 1 ? one table : another`. Of another condition nobody here knows which of the two counts.
    const before = print.slice(0, match.index);
    const isOther = before.endsWith(' : ');
    if (!isOther) isKnown = !before.endsWith('? ');
    if (!isKnown) continue;
    const other = isOther ? tables.at(-1)?.when : undefined;
    const when =
      asked === undefined ? other && { ...other, is: !other.is } : { field: asked, value: Number(value), is: true };
    const names = namesOf(list!);
    if (names.size === 0) continue;
    tables.push({
      field: field!,
      shift: BigInt(shift),
      mask: mask === undefined ? undefined : BigInt(mask),
      when,
      names,
    });
  }
  return tables;
}

/** `{ 0, "KVM_EXIT_" "UNKNOWN" }` and so on; a value that is an expression is left out. */
function namesOf(list: string): Map<number, string> {
  const pairs = [...list.matchAll(/\{\s*([^,]+?)\s*,\s*((?:"[^"]*"\s*)+)\}/g)].map(
    ([, value, words]) => [Number(value), words!.replace(/"\s*"/g, '').trim().slice(1, -1)] as const,
  );
  return new Map(pairs.filter(([value]) => Number.isInteger(value)));
}

/** By member; undefined if nothing of the event has one. Several of one member stand as the kernel puts them, `Fixed|dst`. */
export function namesIn(
  tables: readonly NameTable[],
  fields: Readonly<Record<string, FieldValue>>,
): Record<string, string> | undefined {
  let found: Record<string, string> | undefined;
  for (const { field, shift, mask, when, names } of tables) {
    const value = fields[field];
    if (value === undefined || typeof value === 'string') continue;
    if (when && (Number(fields[when.field]) === when.value) !== when.is) continue;
    const shifted = BigInt(value) >> shift;
    const name = names.get(Number(mask === undefined ? shifted : shifted & mask));
    if (name === undefined) continue;
    found ??= {};
    found[field] = found[field] === undefined ? name : `${found[field]}|${name}`;
  }
  return found;
}
