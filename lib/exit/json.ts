/** An `Exit` as JSON, for other programs: its shape is a contract. */

import { decodeIcr, decodeIcr2, decodeX2Icr } from '../abi/apic/icr.ts';
import { checkObject, checkText } from '../base/check.ts';
import { ArgumentError } from '../base/errors.ts';
import { type JsonValue, toJson } from '../base/json.ts';
import type { ValueCheck } from '../base/shape.ts';
import type { Exit } from './exit.ts';
import { exitName, fieldsOf, readableOf } from './kinds.ts';

export type { JsonValue } from '../base/json.ts';

/** An exit's part of a line of `run --json`. */
export type ExitJson = {
  /** kvm_run.exit_reason. */
  reason: number;
  /** The kernel's name of the exit; `unrecognized` for a number that has none. */
  name: string;
} & {
  /** The exit's own fields, by name. */
  [key: string]: JsonValue;
};

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

/**
 * The exit that such JSON was made of. Keys that are no field of it are left out.
 *
 * @throws ArgumentError if it is none
 */
export function exitFromJson(json: Readonly<Record<string, unknown>>): Exit {
  const name = exitName('name', json.name as string);
  const fields = fieldsOf(name);
  const exit: Record<string, unknown> = { name, reason: json.reason };
  for (const [field, check] of Object.entries(fields))
    if (json[field] !== undefined && field !== 'icr') exit[field] = fieldFromJson(field, check, json[field]);
  return withIcr(exit) as unknown as Exit;
}

/** By what the field can be: the same digits may be a number of 64 bits, or bytes. */
function fieldFromJson(field: string, check: ValueCheck<unknown>, value: unknown): unknown {
  const isText = typeof value === 'string';
  const ways = [
    () => value,
    () => (isText && value.startsWith('0x') ? BigInt(value) : undefined),
    () => (isText && /^(?:[0-9a-f]{2})*$/.test(value) ? Uint8Array.from(Buffer.from(value, 'hex')) : undefined),
    () => (Array.isArray(value) ? value.map((member: string) => BigInt(member)) : undefined),
  ];
  for (const way of ways) {
    try {
      const read = way();
      if (read !== undefined) return check(field, read);
    } catch {
      // Another way may be the one.
    }
  }
  throw new ArgumentError(field, `${field} is not what an exit has there`, 'Take the line as it was written.');
}

/** JSON has not all of an ICR: the raw value has. */
function withIcr(exit: Record<string, unknown>): Record<string, unknown> {
  if (exit.name === 'KVM_EXIT_DSM_X2_ICR') return { ...exit, icr: decodeX2Icr(exit.data as bigint) };
  if (exit.name === 'KVM_EXIT_DSM_PV_IPI') return { ...exit, icr: decodeIcr(exit.data as number) };
  if (exit.name !== 'KVM_EXIT_DSM_SEND_IRQ') return exit;
  if (exit.register === 'ICR') return { ...exit, icr: decodeIcr(exit.val2 as number) };
  return exit.register === 'ICR2' ? { ...exit, icr2: decodeIcr2(exit.val2 as number) } : exit;
}
