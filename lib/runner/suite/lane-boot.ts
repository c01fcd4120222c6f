/** One boot of a lab machine for the suite, heard from outside. */
import { randomBytes } from 'node:crypto';
import { printable } from '../../base/text.ts';
import { LabFrozenError, type LabMachineError, type LaneName, type Timings } from '../../lab/index.ts';
import { SuiteProtocolError, SuiteWorkerError } from '../../suite/errors.ts';
import type { Traced } from '../../suite/run/check-kernel.ts';
import { type FailedProbes, isProbeName, PROBE_WORD, type ProbeName, probes } from '../../suite/run/probes.ts';
import type { Item, Sink } from '../../suite/run/protocol.ts';
import type { RunEnd } from '../../suite/run/supervisor.ts';
import { runInLane } from '../../target/in-lane.ts';
import type { GlobalOptions } from '../../target/options.ts';
import { readLaneEvent } from './lane-events.ts';
import { LineWriter } from './line-writer.ts';
import { CHECK_MARK, type LanePart, PARSED_TEST } from './protocol.ts';

const GUEST_DIR = '/run/kvm-dsm';
const PROBE_MARK = `${CHECK_MARK} ${PROBE_WORD} `;

/** What the command line says about a run, and the text of a module of checks if there is one. */
export interface LaneOptions {
  global: GlobalOptions;
  seed: number;
  strict: boolean;
  bail: boolean;
  module: string | null;
  /** Drawn faults of the lab's kernel, to be watched. */
  watch?: readonly string[] | undefined;
  /** Files of KVM's whose lines are counted. */
  counted?: readonly string[] | undefined;
  /** Checks that fail tell what happened in their machines. */
  traced?: Traced | undefined;
  /** Is told when each phase ends. */
  timings?: Timings | undefined;
  /** Another machine runs the same plan, and tells what there is to tell of both. */
  isAnother?: boolean;
  quiet?: boolean;
  /** Ends the machine. */
  signal?: AbortSignal;
}

/** One machine of a lane, from its start to its end, and the items that it runs. */
export class LaneBoot {
  left: Item[];
  end: RunEnd | null = null;
  /** The sink wants no more. */
  stopped = false;
  readonly #items: ReadonlyMap<number, Item>;
  readonly #sink: Sink;
  readonly #secret = newSecret();
  /** The items by what their mark in the kernel's log says. */
  readonly #marks: ReadonlyMap<string, Item>;
  /** What is wrong with what the machine told. */
  #fault: string | null = null;
  /**
   * The check that began last. The kernel's log tells of that: what the machine printed before it died may have gone down
   * with it.
   */
  #current: { item: Item; began: number } | null = null;
  /** What the kernel is asked, before any check. */
  #probe: ProbeName | null = null;
  #probing = true;
  #timings: Timings | undefined;
  readonly #failedProbes: FailedProbes;

  /** @param failedProbes is added to if the machine dies of one */
  constructor(items: readonly Item[], sink: Sink, failedProbes: FailedProbes) {
    this.#failedProbes = failedProbes;
    this.left = items.map((item) => ({ ...item, secret: newSecret() }));
    this.#items = new Map(this.left.map((item) => [item.n, item]));
    this.#marks = new Map(this.left.map((item) => [`${CHECK_MARK} ${item.n} ${item.secret}`, item]));
    this.#sink = sink;
  }

  async run(
    lane: LaneName,
    {
      global,
      seed,
      strict,
      bail,
      module,
      watch,
      counted,
      traced,
      timings,
      isAnother = false,
      quiet = false,
      signal,
    }: LaneOptions,
    timeout: number,
  ): Promise<void> {
    const { device, profile } = global;
    this.#timings = timings;
    const inside = module === null ? null : `${GUEST_DIR}/checks.mjs`;
    const failedProbes = this.#failedProbes;
    const common = {
      module: inside,
      seed,
      device,
      profile,
      timeout,
      strict,
      bail,
      watch,
      counted,
      traced,
      failedProbes,
    };
    const part: LanePart = { ...common, items: this.left, secret: this.#secret };
    const partFile = `${GUEST_DIR}/part.json`;
    const files = [{ path: partFile, data: JSON.stringify(part) }];
    if (module !== null) files.push({ path: inside!, data: module });
    const stdout = new LineWriter((line) => this.#read(line));
    const onMark = (text: string) => {
      const probe = text.startsWith(PROBE_MARK) ? text.slice(PROBE_MARK.length) : null;
      // Later a check's code runs, which could say so as well.
      if (isProbeName(probe) && this.#probing) this.#probe = probe;
      const item = this.#marks.get(text);
      if (item) this.#begin(item);
      return item !== undefined;
    };
    const exitCode = await runInLane(
      lane,
      { what: 'getting the checks ready', argv: [PARSED_TEST, partFile], files },
      { ...global, timeout: Math.ceil(timeout) },
      { stdout, onMark, timings, isAnother, quiet, signal },
    );
    if (this.#fault !== null) throw new SuiteProtocolError(`the ${lane} machine`, this.#fault);
    if (this.end === null)
      throw new SuiteWorkerError(`the command inside the ${lane} machine ended with exit code ${exitCode}`);
  }

  /** The machine died: so has the check that ran, or the probe. Returns false if none did. */
  lose(error: LabMachineError): boolean {
    if (this.#probing && this.#probe) {
      const [why = ''] = error.message.split('\n');
      this.#failedProbes[this.#probe] = why;
      this.#sink.note(`it was not found out ${probes[this.#probe]}: ${why}`);
      return true;
    }
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

  #read(line: string): void {
    const event = readLaneEvent(this.#secret, line);
    if (event === null) return void process.stderr.write(`${printable(line)}\n`);
    if (typeof event === 'string') return void this.#refuse(event);
    switch (event.type) {
      case 'facts':
        this.#probing = false;
        this.#timings?.ended('questions');
        this.#sink.facts(event.facts);
        break;
      case 'outcome': {
        const { n, outcome, ms, exits, seen } = event;
        const item = this.#items.get(n);
        if (!item) return void this.#refuse(`there is no check of number ${n}`);
        if (!this.left.includes(item)) return void this.#refuse(`a second outcome of ${item.id}`);
        this.#outcome(item, outcome, ms, exits, seen);
        break;
      }
      case 'note':
        this.#sink.note(printable(event.text));
        break;
      case 'end':
        if (this.end !== null) return void this.#refuse('a second end');
        this.#timings?.ended('script');
        this.end = event.end;
        break;
    }
  }

  /** What it tells from now on is not believed either: the run ends with this when the machine has ended. */
  #refuse(why: string): void {
    this.#fault ??= printable(why);
  }

  #begin(item: Item): void {
    // The log and the output come on lines of their own: the outcome may have been quicker.
    if (!this.left.includes(item)) return;
    this.#probing = false;
    this.#current = { item, began: performance.now() };
    this.#sink.start(item);
  }

  #outcome(item: Item, ...outcome: Parameters<Sink['outcome']> extends [Item, ...infer Rest] ? Rest : never): void {
    if (this.#current?.item.n === item.n) this.#current = null;
    this.left = this.left.filter(({ n }) => n !== item.n);
    if (!this.#sink.outcome(item, ...outcome)) this.stopped = true;
  }
}

function newSecret(): string {
  return randomBytes(8).toString('hex');
}
