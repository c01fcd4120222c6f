import { Writable } from 'node:stream';
import type { LaneName } from '../lab/index.ts';
import { LabFrozenError, LabMachineError } from '../lab/index.ts';
import { runInLane } from '../runner/in-lane.ts';
import { SuiteWorkerError } from '../suite/errors.ts';
import type { Executor, Item, Sink } from '../suite/run/protocol.ts';
import type { RunEnd } from '../suite/run/supervisor.ts';
import type { GlobalOptions } from '../target/options.ts';
import { PARSED_TEST } from './lab-entry.ts';
import { CHECK_MARK, type InsideEvent, type InsidePart } from './test-inside.ts';

const GUEST_DIR = '/run/kvm-dsm';

/** What the command line says about a run, and the text of a module of checks if there is one. */
export interface LaneOptions {
  global: GlobalOptions;
  seed: number;
  strict: boolean;
  bail: boolean;
  module: string | null;
}

/**
 * Runs items in a machine of the lab. One whose kernel crashed or froze costs its check; the rest runs in a new
 * machine.
 */
export function laneExecutor(lane: LaneName, options: LaneOptions): Executor {
  return async (items, sink) => {
    const ends = performance.now() + options.global.timeout * 1000;
    let left = [...items];
    while (left.length > 0) {
      const timeout = (ends - performance.now()) / 1000;
      if (timeout <= 0) return TIME_OVER;
      const boot = new Boot(left, sink);
      const error = await boot.run(lane, options, timeout).then(
        () => null,
        (thrown: unknown) => thrown,
      );
      const lost = boot.left.length < left.length;
      left = boot.left;
      if (boot.end === 'done' || boot.end === 'stopped') {
        if (error) throw error;
        return null;
      }
      if (boot.end === 'timeout') return TIME_OVER;
      if (boot.end !== 'broken') {
        // Only a machine that died is replaced, and only if that brings the run on.
        if (!(error instanceof LabMachineError)) throw error ?? new SuiteWorkerError('the lab told no end of the run');
        if (!boot.lose(error) && !lost) throw error;
        left = boot.left;
      }
      if (boot.stopped) return null;
      if (left.length > 0) sink.note(`the ${lane} machine is booted again for the ${left.length} checks that are left`);
    }
    return null;
  };
}

const TIME_OVER = 'the time that --timeout allows was over';

/** One machine from its start to its end. */
class Boot {
  left: Item[];
  end: RunEnd | null = null;
  /** The sink wants no more. */
  stopped = false;
  readonly #items: ReadonlyMap<number, Item>;
  readonly #sink: Sink;
  /**
   * The check that began last. The kernel's log tells of that: what the machine printed before it died may have gone down
   * with it.
   */
  #current: { item: Item; began: number } | null = null;

  constructor(items: readonly Item[], sink: Sink) {
    this.left = [...items];
    this.#items = new Map(items.map((item) => [item.n, item]));
    this.#sink = sink;
  }

  async run(lane: LaneName, { global, seed, strict, bail, module }: LaneOptions, timeout: number): Promise<void> {
    const { device, profile } = global;
    const inside = module === null ? null : `${GUEST_DIR}/checks.mjs`;
    const part: InsidePart = { items: this.left, module: inside, seed, device, profile, timeout, strict, bail };
    const partFile = `${GUEST_DIR}/part.json`;
    const files = [{ path: partFile, data: JSON.stringify(part) }];
    if (module !== null) files.push({ path: inside!, data: module });
    const stdout = new Lines((line) => this.#hear(line));
    const onMark = (word: string, rest: string) => {
      const item = word === CHECK_MARK ? this.#items.get(Number(rest)) : undefined;
      if (item) this.#begin(item);
    };
    const exitCode = await runInLane(
      lane,
      { argv: [PARSED_TEST, partFile], files },
      { ...global, timeout: Math.ceil(timeout) },
      { stdout, onMark },
    );
    if (this.end === null)
      throw new SuiteWorkerError(`the command inside the ${lane} machine ended with exit code ${exitCode}`);
  }

  /** The machine died: so has the check that ran. Returns false if none did. */
  lose(error: LabMachineError): boolean {
    if (!this.#current) return false;
    const { item, began } = this.#current;
    const [reason = '', ...detail] = error.message.split('\n');
    const cause = error instanceof LabFrozenError ? 'deadline' : 'oops';
    this.#outcome(
      item,
      { kind: 'fail', cause, reason, detail: detail.join('\n') },
      Math.round(performance.now() - began),
      0,
    );
    return true;
  }

  #hear(line: string): void {
    let event: InsideEvent;
    try {
      event = JSON.parse(line) as InsideEvent;
    } catch {
      process.stderr.write(`${line}\n`);
      return;
    }
    switch (event.type) {
      case 'facts':
        this.#sink.facts(event.facts);
        break;
      case 'outcome':
        this.#outcome(this.#items.get(event.n)!, event.outcome, event.ms, event.exits);
        break;
      case 'note':
        this.#sink.note(event.text);
        break;
      case 'end':
        this.end = event.end;
        break;
    }
  }

  #begin(item: Item): void {
    // The log and the output come on lines of their own: the outcome may have been quicker.
    if (!this.left.includes(item)) return;
    this.#current = { item, began: performance.now() };
    this.#sink.start(item);
  }

  #outcome(item: Item, ...outcome: Parameters<Sink['outcome']> extends [Item, ...infer Rest] ? Rest : never): void {
    if (this.#current?.item.n === item.n) this.#current = null;
    this.left = this.left.filter(({ n }) => n !== item.n);
    if (!this.#sink.outcome(item, ...outcome)) this.stopped = true;
  }
}

/** Cuts what is written to it into lines. */
class Lines extends Writable {
  readonly #take: (line: string) => void;
  #rest = '';

  constructor(take: (line: string) => void) {
    super({ decodeStrings: false });
    this.#take = take;
  }

  override _write(chunk: Buffer | string, _encoding: BufferEncoding, done: () => void): void {
    const lines = (this.#rest + chunk.toString()).split('\n');
    this.#rest = lines.pop()!;
    for (const line of lines) this.#take(line);
    done();
  }
}
