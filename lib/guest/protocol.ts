/**
 * What a guest tells the host: a 4-byte `out` of eax to one of these ports. No in-kernel device of KVM has them, so that
 * each such `out` leaves the guest as KVM_EXIT_IO. The snippets write these; a script may as well, by hand.
 */
import { checkInteger, checkText } from '../base/check.ts';
import type { ValueCheck } from '../base/shape.ts';
import type { Exit } from '../exit/exit.ts';
import { END_PORT } from './end-guard.ts';

/** The ports by which a guest tells the host something: a 4-byte `out` of eax to one of them. The snippets write these. */
export const guestPorts = {
  /** eax: the sync point's number. */
  sync: 0xd0,
  /** eax: the value; ecx: the number of its name. */
  value: 0xd4,
  /** This vCPU's part of the test is over. */
  done: 0xd8,
  /** eax: the number of the assertion that failed; ecx: what was there instead. */
  assert: 0xdc,
  /** From the handlers: a vector that nobody expected. eax: the vector; the stack holds the rest. */
  fault: 0xe0,
  /** From the handlers: an interrupt that the run waits for was handled. eax: the vector. */
  handled: 0xe8,
} as const;

const kinds = new Map<number, keyof typeof guestPorts>(
  Object.entries(guestPorts).map(([kind, port]) => [port, kind as keyof typeof guestPorts]),
);

/** What one `out` to such a port says; `fault` is told in full by `readFault`. */
export type GuestWord =
  | {
      /** The guest came to a sync point. */
      kind: 'sync';
      /** Its name; a number that no name has got is itself. */
      name: string | number;
    }
  | {
      /** It told a value. */
      kind: 'value';
      /** The value's name; a number that no name has got is itself. */
      name: string | number;
      /** 0 to 2^32-1. */
      value: number;
    }
  | {
      /** This vCPU's part of the test is over. */
      kind: 'done';
    }
  | {
      /** An assertion of the guest did not hold. */
      kind: 'assert';
      /** The assertion's message. */
      text: string;
      /** What was there, 0 to 2^32-1. */
      actual: number;
    }
  | {
      /** A vector that the program does not handle. */
      kind: 'fault';
      /** 0 to 255. */
      vector: number;
    }
  | {
      /** A vector that the run waits for was handled: its EOI is written. */
      kind: 'handled';
      /** 2 for an NMI, or 32 to 255. */
      vector: number;
    }
  | {
      /** It ran past the end of its program: told by the machine's own code, which stands there. */
      kind: 'end';
    };

/** Reads an exit. `undefined` if it is no such `out`. @param named what a number in it stands for */
export function readWord(
  exit: Exit,
  ecx: () => number,
  named: (number: number) => string | number = nameOf,
): GuestWord | undefined {
  if (exit.name !== 'KVM_EXIT_IO' || exit.direction !== 'out' || exit.count !== 1) return undefined;
  // Of code that has left real mode the same instruction writes 2 bytes.
  if (exit.port === END_PORT && exit.size >= 2) return { kind: 'end' };
  if (exit.size !== 4) return undefined;
  const kind = kinds.get(exit.port);
  if (kind === undefined || exit.data.length < 4) return undefined;
  const eax = new DataView(exit.data.buffer, exit.data.byteOffset).getUint32(0, true);
  switch (kind) {
    case 'sync':
      return { kind, name: named(eax) };
    case 'value':
      return { kind, name: named(ecx()), value: eax };
    case 'done':
      return { kind };
    case 'assert':
      return { kind, text: String(named(eax)), actual: ecx() };
    case 'fault':
    case 'handled':
      return { kind, vector: eax & 0xff };
  }
}

/**
 * Numbers below are the scripts' own. Every machine of the process shares this table, which is harmless: a name has one
 * number for good, so that code with it means the same in whichever machine it runs.
 */
const FIRST_NUMBER = 0x1_0000;
const names: string[] = [];
const numbers = new Map<string, number>();

/** The number that stands for a name in guest code; the same name has the same number. */
export function numberOf(name: string): number {
  let number = numbers.get(name);
  if (number === undefined) {
    number = FIRST_NUMBER + names.push(name) - 1;
    numbers.set(name, number);
  }
  return number;
}

/** The number that no other name has: of a number that is a name itself; `undefined` if it may stand for another one. */
export function ownNumberOf(name: string | number): number | undefined {
  if (typeof name === 'string') return numberOf(name);
  return name < FIRST_NUMBER ? name : undefined;
}

/** The name behind a number, or the number itself if no name has it. */
export function nameOf(number: number): string | number {
  return nameIn(names, number);
}

/** The names that have got a number, but for the first ones: for another process, which knows none. */
export const namesFrom = (first: number): string[] => names.slice(first);

/** The same as `nameOf` of the process that has such a table. */
export const nameIn = (table: readonly string[], number: number): string | number =>
  table[number - FIRST_NUMBER] ?? number;

/** The name of a sync point or of a value: text, or 32 bits. */
export const wordName: ValueCheck<string | number> = (argument, value) =>
  typeof value === 'number' ? checkInteger(argument, value, 0, 0xffff_ffff) : checkText(argument, value as string);
