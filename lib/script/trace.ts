import { checkList, checkObject, checkText } from '../check.ts';
import type { Exit } from '../exit.ts';
import { ExpectationError } from './errors.ts';
import { describeEvent, isExit, type TraceEvent, type TraceExit } from './event.ts';
import { type Expected, explainMismatch, matches } from './expect.ts';

/** Every exit of a machine, in order: that is what iterating over it gives. `events` has the injections and kicks as well. */
export class Trace implements Iterable<TraceExit> {
  readonly #events: TraceEvent[] = [];
  readonly #exits: TraceExit[] = [];

  /** Appends; for the machine. */
  record(event: TraceEvent): void {
    this.#events.push(event);
    if (isExit(event)) this.#exits.push(event);
  }

  /** All that happened: exits, and what the script did to the machine. */
  get events(): readonly TraceEvent[] {
    return this.#events;
  }

  /** How many exits. */
  get length(): number {
    return this.#exits.length;
  }

  [Symbol.iterator](): Iterator<TraceExit> {
    return this.#exits[Symbol.iterator]();
  }

  /** The exits of one kind. */
  named<N extends Exit['name']>(name: N): (TraceExit & { exit: Extract<Exit, { name: N }> })[] {
    return this.#exits.filter((event) => event.exit.name === name) as (TraceExit & {
      exit: Extract<Exit, { name: N }>;
    })[];
  }

  /**
   * Checks that, among the exits of the kinds that `expected` names, exactly these came, in this order. Each is compared
   * by the fields that it gives.
   *
   * @throws ExpectationError that shows both sides
   */
  expect(expected: readonly Expected[]): void {
    for (const want of checkList('expected', expected)) checkText('name', checkObject('expected', want).name);
    const kinds = new Set(expected.map(({ name }) => name));
    const actual = this.#exits.filter(({ exit }) => kinds.has(exit.name));
    const same = actual.length === expected.length && expected.every((want, i) => matches(want, actual[i]!));
    if (!same) throw new ExpectationError(explainMismatch(expected, actual), [...kinds], actual.length);
  }

  /** Checks that no exit of this kind came. Throws ExpectationError. */
  expectNone(name: Exit['name']): void {
    checkText('name', name);
    const actual = this.#exits.filter(({ exit }) => exit.name === name);
    if (actual.length > 0) throw new ExpectationError(explainMismatch([], actual, `no ${name}`), [name], actual.length);
  }

  /** One line per event, for a person. */
  toString(): string {
    return this.#events.map((event) => describeEvent(event)).join('\n');
  }
}
