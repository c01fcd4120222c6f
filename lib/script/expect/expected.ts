/** What a script expects of an exit, and whether one is so. */
import { isDeepStrictEqual } from 'node:util';
import { vectorCheck, vectorIn, vectorName } from '../../abi/exceptions.ts';
import { checkObject } from '../../base/check.ts';
import { ArgumentError } from '../../base/errors.ts';
import { suggest } from '../../base/nearest.ts';
import { integer, type ObjectCheck, oneOf, optional, shape, u64Bigint } from '../../base/shape.ts';
import { hex, hexBytes } from '../../base/text.ts';
import type { Exit, ExitName } from '../../exit/exit.ts';
import type { Named } from '../../exit/family.ts';
import { exitName, fieldsOf } from '../../exit/kinds.ts';
import { wordName } from '../../guest/protocol.ts';
import type { TraceExit } from '../../trace/event.ts';
import { describeEvent } from '../../trace/text.ts';

/** Some of the fields of `T`, and of the objects in it; lists and bytes are whole. */
export type ExpectedFields<T> = T extends Uint8Array | readonly unknown[]
  ? T
  : T extends object
    ? { [K in keyof T]?: ExpectedFields<T[K]> }
    : T;

/** An exit by its name and the fields that matter. `E`: a variant of `Exit`, or several. */
export type ExpectedExit<E> =
  E extends Named<infer N>
    ? {
        /** The exit's name. */
        name: N;
      } & ExpectedFields<Omit<E, 'name'>>
    : never;

/** What a guest says, by a snippet (`sync`, `tell`, `done`) or by one of the machine's handlers. */
export type ExpectedWord =
  | {
      /** A sync point, by its name or number. */
      sync: string | number;
    }
  | {
      /** A value that was told, by its name or number. */
      value: string | number;
      /** What it is, 0 to 2^32-1. Default: whatever. */
      is?: number;
    }
  | {
      /** The vCPU's part of the test is over. */
      done: true;
    }
  | {
      /** A vector that the program does not handle: 0 to 255, or an exception's name such as `#GP`. */
      fault: string | number;
    }
  | {
      /** An interrupt whose handler has run, by its vector: told of the one that the run waits for. */
      handled: string | number;
    };

/** An exit, or a guest's word, by the fields that matter to a test. */
export type Expected = (ExpectedExit<Exit> | ExpectedWord) & {
  /** vcpu_id of the vCPU that it is of. Default: any. */
  vcpu?: number;
  /** RIP when the exit was taken. Default: any. */
  rip?: bigint;
};

const where = { vcpu: optional(integer(0, 0xffff_ffff)), rip: optional(u64Bigint) };
type At = { vcpu?: number; rip?: bigint };

/** What is to be said of each word. */
const words = {
  sync: shape<{ sync: string | number } & At>('a sync point has', { sync: wordName, ...where }),
  value: shape<{ value: string | number; is?: number } & At>('a value has', {
    value: wordName,
    is: optional(integer(0, 0xffff_ffff)),
    ...where,
  }),
  done: shape<{ done: true } & At>('the end of a vCPU has', { done: oneOf([true]), ...where }),
  fault: shape<{ fault: string | number } & At>('a fault has', { fault: vectorCheck, ...where }),
  handled: shape<{ handled: string | number } & At>('a handled interrupt has', { handled: vectorCheck, ...where }),
};
const wordNames = Object.keys(words) as (keyof typeof words)[];

/** What may be said of an exit of that name. */
function shapeOfExit(name: ExitName): ObjectCheck<At> {
  let known = exits.get(name);
  if (!known) {
    const fields = { ...fieldsOf(name), ...where, name: exitName, reason: integer(0, 0xffff_ffff) };
    known = shape<At>(`${name} has`, fields);
    exits.set(name, known);
  }
  return known;
}
const exits = new Map<ExitName, ObjectCheck<At>>();

/**
 * A copy of what is expected, checked: an exit that there is, or a word, by fields that it has and values that they can
 * have. Anything else would never come, and be no reason to think that it did not. Throws ArgumentError.
 */
export function checkExpected(want: Expected, argument = 'expected'): Expected {
  const word = wordNames.find((key) => key in checkObject(argument, want));
  if (word) return words[word].take(want, argument);
  if (!('name' in want)) throw unnamed(argument, want);
  // Read once more with the rest: the name is checked there.
  const checked = shapeOfExit(exitName('name', want.name)).takePart(want, argument) as Expected;
  return checked;
}

function unnamed(argument: string, want: object): ArgumentError {
  const [key = ''] = Object.keys(want);
  const all = ['name', ...wordNames];
  return new ArgumentError(
    argument,
    `${argument} names no exit and no word of a guest${key && `: it has ${Object.keys(want).join(', ')}`}`,
    suggest(key, all, 'Give the `name` of an exit, or `sync`, `value`, `done`, `fault` or `handled`.'),
  );
}

/** What kind of event it is about: an exit's name, or a word. */
export function kindOf(want: Expected): string {
  return wordNames.find((word) => word in want) ?? (want as { name: string }).name;
}

/** True if the event is of one of these kinds. */
export function isOfKind(kinds: ReadonlySet<string>, { exit, word }: TraceExit): boolean {
  return kinds.has(exit.name) || (word !== undefined && kinds.has(word.kind));
}

/** True if every field that `want` gives is so in `event`. */
export function matches(want: Expected, event: TraceExit): boolean {
  const { vcpu, rip, ...what } = want;
  if (vcpu !== undefined && vcpu !== event.vcpu) return false;
  if (rip !== undefined && rip !== event.rip) return false;
  const { word } = event;
  if ('sync' in what) return word?.kind === 'sync' && word.name === what.sync;
  if ('value' in what)
    return word?.kind === 'value' && word.name === what.value && (what.is ?? word.value) === word.value;
  if ('done' in what) return word?.kind === 'done';
  if ('fault' in what) return word?.kind === 'fault' && word.vector === vectorIn('fault', what.fault);
  if ('handled' in what) return word?.kind === 'handled' && word.vector === vectorIn('handled', what.handled);
  return includes(what, event.exit);
}

function includes(want: unknown, actual: unknown): boolean {
  // A Buffer is a list of bytes as well.
  if (want instanceof Uint8Array && actual instanceof Uint8Array) return Buffer.compare(want, actual) === 0;
  if (!isPlain(want)) return isDeepStrictEqual(want, actual);
  if (typeof actual !== 'object' || actual === null) return false;
  return Object.entries(want).every(([key, value]) => includes(value, (actual as Record<string, unknown>)[key]));
}

/** What of `want` is otherwise in `event`. */
export function difference(want: Expected, event: TraceExit): string {
  const kind = kindOf(want);
  // Of another kind no field is other than expected: there is none.
  if (!isOfKind(new Set([kind]), event)) return `${describeEvent(event)}, expected ${describeExpected(want)}`;
  const actual: Record<string, unknown> = { ...event.exit, ...spoken(event), vcpu: event.vcpu, rip: event.rip };
  return differences(inWords(want), actual).join('; ');
}

/** A vector by its name, as the event has it. */
function inWords(want: Expected): Expected {
  if ('handled' in want) return { ...want, handled: vectorName(vectorIn('handled', want.handled)) };
  return 'fault' in want ? { ...want, fault: vectorName(vectorIn('fault', want.fault)) } : want;
}

/** Of objects the fields that differ, by their path: `icr.vector is 0xf0, expected 0x41`. */
function differences(want: object, actual: Record<string, unknown>, path = ''): string[] {
  return Object.entries(want).flatMap(([key, value]) => {
    const is = actual[key];
    if (includes(value, is)) return [];
    if (isPlain(value) && isPlain(is)) return differences(value, is as Record<string, unknown>, `${path}${key}.`);
    return [`${path}${key} is ${showField(is)}, expected ${showField(value)}`];
  });
}

function isPlain(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !ArrayBuffer.isView(value) && !Array.isArray(value);
}

/** A guest's word under the names that an expectation has for it. */
function spoken({ word }: TraceExit): Record<string, unknown> {
  if (word?.kind === 'sync') return { sync: word.name };
  if (word?.kind === 'value') return { value: word.name, is: word.value };
  if (word?.kind === 'fault') return { fault: vectorName(word.vector) };
  if (word?.kind === 'handled') return { handled: vectorName(word.vector) };
  return word?.kind === 'done' ? { done: true } : {};
}

export function describeExpected(want: Expected): string {
  const { name, ...fields } = inWords(want) as { name?: string };
  const parts = Object.entries(fields).map(([key, value]) => `${key} ${showField(value)}`);
  return [...(name === undefined ? [] : [name]), ...parts].join(', ');
}

/** So many bytes of a field are shown. */
const BYTES = 16;

/** Numbers as they stand in guest code and in manuals. */
function showField(value: unknown): string {
  if (typeof value === 'bigint') return hex(value);
  if (typeof value === 'number') return value >= 0 && value < 10 ? String(value) : hex(value);
  if (value instanceof Uint8Array)
    return `bytes ${hexBytes(value.subarray(0, BYTES)) || 'none'}${value.length > BYTES ? ' ...' : ''}`;
  if (!isPlain(value)) return JSON.stringify(value) ?? String(value);
  const parts = Object.entries(value).map(([key, part]) => `${key} ${showField(part)}`);
  return `{ ${parts.join(', ')} }`;
}
