/** One boot of a lab machine for the suite, heard from outside. */
import { LabFrozenError, type LabMachineError, type LaneName } from '../../lab/index.ts';
import { SuiteWorkerError } from '../../suite/errors.ts';
import type { Item, Sink } from '../../suite/run/protocol.ts';
import type { RunEnd } from '../../suite/run/supervisor.ts';
import { runInLane } from '../../target/in-lane.ts';
import type { GlobalOptions } from '../../target/options.ts';
import { LineWriter } from './line-writer.ts';
import { CHECK_MARK, type LaneEvent, type LanePart, PARSED_TEST } from './protocol.ts';

const GUEST_DIR = '/run/kvm-dsm';

/** What the command line says about a run, and the text of a module of checks if there is one. */
export interface LaneOptions {
  global: GlobalOptions;
  seed: number;
  strict: boolean;
  bail: boolean;
  module: string | null;
}

/** One machine of a lane, from its start to its end, and the items that it runs. */
export class LaneBoot {
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
    const part: LanePart = { items: this.left, module: inside, seed, device, profile, timeout, strict, bail };
    const partFile = `${GUEST_DIR}/part.json`;
    const files = [{ path: partFile, data: JSON.stringify(part) }];
    if (module !== null) files.push({ path: inside!, data: module });
    const stdout = new LineWriter((line) => this.#read(line));
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

  #read(line: string): void {
    let event: LaneEvent;
    try {
      event = JSON.parse(line) as LaneEvent;
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
