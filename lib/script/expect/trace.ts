import { checkInteger, checkList } from '../../base/check.ts';
import { ArgumentError } from '../../base/errors.ts';
import { plural } from '../../base/text.ts';
import type { Exit } from '../../exit/exit.ts';
import { exitName } from '../../exit/kinds.ts';
import type { TraceEvent, TraceExit } from '../../trace/event.ts';
import { type EventStore, MadeEvents } from '../../trace/store.ts';
import { describeEvent } from '../../trace/text.ts';
import { ExpectationError } from '../errors.ts';
import { FailureReport } from '../failure/report.ts';
import { eventsOf, type Snapshot } from '../failure/snapshot.ts';
import { checkExpected, describeExpected, type Expected, isOfKind, kindOf, matches } from './expected.ts';
import { explainMismatch, fewOf, type Mismatch } from './side-by-side.ts';

/** Every exit of a machine, in order: that is what iterating over it gives. `events` has the injections and kicks as well. */
export class Trace implements Iterable<TraceExit> {
  #store: EventStore = new MadeEvents();
  /** All of them, once somebody has asked for that. */
  readonly #all: TraceEvent[] = [];
  readonly #snapshot: () => Snapshot | undefined;
  /**
   * When its machine was made, in nanoseconds of CLOCK_MONOTONIC: with it the `ns` of the events of two machines can be
   * compared.
   */
  readonly born: bigint;

  /** Of no machine. A machine makes its own: `machine.trace`. */
  constructor();
  /**
   * @internal
   * @param snapshot what its machine is like now, for the report of an expectation that fails
   * @param born default: now
   */
  constructor(snapshot?: () => Snapshot | undefined, born?: bigint);
  constructor(snapshot: () => Snapshot | undefined = () => undefined, born = process.hrtime.bigint()) {
    this.#snapshot = snapshot;
    this.born = born;
  }

  /**
   * Its events lie there from now on; for the machine.
   *
   * @internal
   */
  keepIn(store: EventStore): void {
    this.#store = store;
  }

  /** Appends; for the machine. */
  record(event: TraceEvent): void {
    this.#store.add(event);
  }

  /** All that happened: exits, and what the script did to the machine. Of a long trace that is much: each is made an object. */
  get events(): readonly TraceEvent[] {
    const { length } = this.#store;
    while (this.#all.length < length) this.#all.push(this.#store.at(this.#all.length));
    return this.#all;
  }

  /**
   * How many events, without making them.
   *
   * @internal
   */
  get size(): number {
    return this.#store.length;
  }

  /**
   * One event, without making the others.
   *
   * @internal
   */
  event(index: number): TraceEvent {
    return this.#all[index] ?? this.#store.at(index);
  }

  /**
   * All events, without keeping what is made of them.
   *
   * @internal
   */
  *each(): Iterable<TraceEvent> {
    for (let index = 0; index < this.#store.length; index++) yield this.event(index);
  }

  /** How many exits. */
  get length(): number {
    return this.#store.exits;
  }

  /** The exits, in order. */
  *[Symbol.iterator](): Iterator<TraceExit, undefined> {
    for (let index = 0; index < this.#store.length; index++)
      if (this.#store.isExit(index)) yield this.event(index) as TraceExit;
  }

  #filter(wanted: (event: TraceExit) => boolean): TraceExit[] {
    const found: TraceExit[] = [];
    for (const event of this) if (wanted(event)) found.push(event);
    return found;
  }

  /** The exits of one kind. */
  named<N extends Exit['name']>(name: N): (TraceExit & { exit: Extract<Exit, { name: N }> })[] {
    exitName('name', name);
    return this.#filter((event) => event.exit.name === name) as (TraceExit & {
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
    this.#expect(checkAll(expected));
  }

  #expect(expected: readonly Expected[]): void {
    const kinds = kindsOf(expected);
    const actual = this.#filter((event) => isOfKind(kinds, event));
    const same = actual.length === expected.length && expected.every((want, i) => matches(want, actual[i]!));
    if (same) return;
    const { text, seq } = explainMismatch(expected, actual);
    throw this.mismatch({ text: [text, ...this.#leftOut(kinds)].join('\n'), seq }, [...kinds], actual.length);
  }

  /** A list of what came is not taken for the whole trace. */
  #leftOut(kinds: ReadonlySet<string>): string[] {
    let others = 0;
    for (const event of this) if (!isOfKind(kinds, event)) others += 1;
    return others === 0 ? [] : [`  ${plural(others, 'exit')} of other kinds not shown`];
  }

  /**
   * Checks that these came in this order, whatever else came before, between and after them.
   *
   * @throws ExpectationError that names the first that did not come where it should
   */
  expectInOrder(expected: readonly Expected[]): void {
    this.#expectInOrder(checkAll(expected));
  }

  #expectInOrder(expected: readonly Expected[]): void {
    const kinds = kindsOf(expected);
    let index = 0;
    let from = 0;
    let at = 0;
    for (const event of this) {
      at += 1;
      if (index === expected.length) return;
      if (!matches(expected[index]!, event)) continue;
      index += 1;
      from = at;
    }
    if (index < expected.length) throw this.#notInOrder(expected, index, from, kinds);
  }

  #notInOrder(
    expected: readonly Expected[],
    index: number,
    from: number,
    kinds: ReadonlySet<string>,
  ): ExpectationError {
    const want = expected[index]!;
    const before = expected[index - 1];
    const early = this.#earlier(from, want);
    const what = before ? `after ${describeExpected(before)}` : 'at all';
    const actual = this.#filter((event) => isOfKind(kinds, event));
    const lines = [
      `${index + 1} of ${expected.length}: ${describeExpected(want)} did not come ${what}${early ? `; it came before, as #${early.seq}` : ''}`,
      '',
      'expected in this order:',
      ...fewOf(
        expected.map((one, at) => `${at === index ? '!' : ' '} ${describeExpected(one)}`),
        index,
      ),
      'actual:',
      ...(actual.length === 0 ? ['  none of these kinds'] : fewOf(actual.map((event) => `  ${describeEvent(event)}`))),
      ...this.#leftOut(kinds),
    ];
    return this.mismatch({ text: lines.join('\n'), seq: early?.seq }, [...kinds], actual.length);
  }

  /** The first such one among the first `count` exits. */
  #earlier(count: number, want: Expected): TraceExit | undefined {
    let left = count;
    for (const event of this) {
      if (left === 0) return undefined;
      if (matches(want, event)) return event;
      left -= 1;
    }
    return undefined;
  }

  /**
   * Checks how many came of what `expected` describes: per vCPU and destination, say, by `vcpu` and `destId`.
   *
   * @throws ExpectationError
   */
  expectCount(expected: Expected, count: number): void {
    const want = checkExpected(expected);
    const kinds = kindsOf([want]);
    checkInteger('count', count, 0, Number.MAX_SAFE_INTEGER);
    const actual = this.#filter((event) => matches(want, event));
    if (actual.length === count) return;
    const message = `expected ${plural(count, 'exit')} of ${describeExpected(want)}, got ${actual.length}`;
    const lines = [message, '', ...fewOf(actual.map((event) => `  ${describeEvent(event)}`))];
    throw this.mismatch({ text: lines.join('\n') }, [...kinds], actual.length);
  }

  /** Checks that nothing of this kind came, or nothing that is as described. Throws ExpectationError. */
  expectNone(unwanted: Exit['name'] | Expected): void {
    const isName = typeof unwanted !== 'object';
    const want = checkExpected(isName ? ({ name: exitName('name', unwanted) } as Expected) : unwanted, 'unwanted');
    const kinds = kindsOf([want]);
    const actual = this.#filter((event) => matches(want, event));
    if (actual.length > 0)
      throw this.mismatch(explainMismatch([], actual, `no ${describeExpected(want)}`), [...kinds], actual.length);
  }

  /**
   * The error of an expectation that does not hold: with the machine's state, where it has a machine that is open.
   *
   * @internal
   * @param kinds the kinds of event that were compared, and how many of them came
   */
  mismatch({ text, seq }: Mismatch, kinds: readonly string[], seen: number): ExpectationError {
    const [headline = ''] = text.split('\n', 1);
    const ending = { kind: 'expectation', headline, kinds, seen } as const;
    const snapshot = this.#snapshot() ?? { vcpus: [], ...eventsOf(this) };
    const failure = new FailureReport(snapshot, ending, seq);
    const [cause] = failure.causes;
    return new ExpectationError(cause === headline ? text : `${cause}\n${text}`, kinds, seen, failure);
  }

  /** One line per event, for a person. */
  toString(): string {
    return this.events.map((event) => describeEvent(event)).join('\n');
  }
}

/** Each checked; an empty list would expect nothing of anything. */
function checkAll(expected: readonly Expected[]): Expected[] {
  if (checkList('expected', expected).length === 0)
    throw new ArgumentError(
      'expected',
      'the list of what is expected is empty: it would say nothing of the trace',
      'To say that nothing came, use expectNone() or expectCount(what, 0).',
    );
  return Array.from(expected, (want, index) => checkExpected(want, `expected[${index}]`));
}

function kindsOf(expected: readonly Expected[]): Set<string> {
  return new Set(expected.map(kindOf));
}
