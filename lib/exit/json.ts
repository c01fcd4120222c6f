/** An `Exit` as JSON, for other programs: its shape is a contract. */
import { checkObject, checkText } from '../base/check.ts';
import { type JsonValue, toJson } from '../base/json.ts';
import type { Exit } from './exit.ts';
import { readableOf } from './kinds.ts';

export type { JsonValue } from '../base/json.ts';

/** An exit's part of a line of `run --json`. */
export type ExitJson = { reason: number; name: string } & { [key: string]: JsonValue };

/**
 * The exit as JSON: u64 values become hex strings (`"0x100a"`), bytes become hex without a prefix (`"00ff"`). Of an ICR
 * six fields are given: vector, deliveryMode, destinationMode, level, trigger, shorthand; the rest is in the raw value.
 */
export function exitToJson(exit: Exit): ExitJson {
  const name = checkText('name', checkObject('exit', exit).name);
  const json: ExitJson = { reason: exit.reason, name };
  for (const [key, value] of Object.entries(readableOf(name)?.json?.(exit) ?? exit))
    if (key !== 'name' && key !== 'reason') json[key] = toJson(value);
  return json;
}
