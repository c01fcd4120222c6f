/** Runs checks on this machine in worker processes, and ends those that hang. */
import { printable } from '../../base/text.ts';
import { KernelLog, KernelReportError, type LoggedReport, lostRecords } from '../../host/kernel-log.ts';
import { type Check, deadlineOf } from '../check.ts';
import { SuiteProtocolError, SuiteWorkerError } from '../errors.ts';
import type { Traced } from './check-kernel.ts';
import type { Facts } from './facts.ts';
import { checkOf } from './plan.ts';
import { type FailedProbes, type ProbeName, probes } from './probes.ts';
import type { FailureKind, Item, KernelTold, Outcome, Sink, WorkerEvent } from './protocol.ts';
import { type WorkerCommand, WorkerProcess } from './worker-process.ts';

/** Why a run ended: all done; the sink wanted no more; the time was over; the kernel is broken. */
export type RunEnd = 'done' | 'stopped' | 'timeout' | 'broken';

export interface SupervisorOptions {
  worker: WorkerCommand;
  /** Absolute path of a module of checks; `null`: the suite's own. */
  module: string | null;
  checks: ReadonlyMap<string, Check>;
  seed: number;
  device: string;
  profile: string;
  /** Drawn faults of the lab's kernel. */
  watch?: readonly string[] | undefined;
  /** Files of KVM's whose lines are counted. */
  counted?: readonly string[] | undefined;
  /** Checks that fail tell what happened in their machines. */
  traced?: Traced | undefined;
  /** For all checks. */
  timeoutMs: number;
  /** What is written to the kernel's log before the number of each check that begins: a panic loses all else. */
  mark: string | null;
  /** End when the kernel has oopsed: somebody will boot it again. */
  endWhenBroken: boolean;
  /** Probes that are not to be tried: what came of them before. */
  failedProbes?: FailedProbes;
  /** Ends the run: what goes on then has no outcome. */
  signal?: AbortSignal | undefined;
  /** Instead of /dev/kmsg. */
  kernelLog?: string;
}

/** How long a worker may take to come up or to go on to its next check, in ms. */
const IDLE = 60_000;
/** How long one probe may take, in ms: more than its guests may. */
const PROBE = 45_000;
/** How long a check may go on after its deadline, in ms, before its process is killed: for its own report. */
const HANG = 8000;

/**
 * Runs checks on this machine, in worker processes: one that ends, or hangs, takes only its check with it.
 *
 * @throws SuiteWorkerError if no worker comes up
 */
export async function superviseWorkers(
  items: readonly Item[],
  options: SupervisorOptions,
  sink: Sink,
): Promise<RunEnd> {
  const log = KernelLog.open(options.kernelLog);
  if (typeof log === 'string') sink.note(log);
  try {
    return await new Supervisor(items, options, sink, typeof log === 'string' ? null : log).run();
  } finally {
    if (typeof log !== 'string') log.close();
  }
}

class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #sink: Sink;
  readonly #log: KernelLog | null;
  readonly #ends: number;
  #left: Item[];
  #facts: Facts | null = null;
  readonly #failedProbes: FailedProbes;
  #end: RunEnd | null = null;
  /** What the kernel reported before the first check of a worker began. */
  #early: LoggedReport | null = null;

  constructor(items: readonly Item[], options: SupervisorOptions, sink: Sink, log: KernelLog | null) {
    this.#left = [...items];
    this.#failedProbes = { ...options.failedProbes };
    this.#options = options;
    this.#sink = sink;
    this.#log = log;
    this.#ends = performance.now() + options.timeoutMs;
  }

  async run(): Promise<RunEnd> {
    const { signal } = this.#options;
    let vain = 0;
    while (this.#left.length > 0 && !this.#end) {
      if (signal?.aborted) return 'stopped';
      const before = this.#left.length;
      const known = { facts: this.#facts, failedProbes: this.#failedProbes };
      const worker = new SupervisedWorker(this.#left, known, this.#options, this.#ends, {
        facts: (facts) => {
          if (!this.#facts) this.#sink.facts(facts);
          this.#facts = facts;
          this.#early ??= this.#report();
        },
        start: (item) => this.#sink.start(item),
        outcome: (item, outcome, ms, exits, seen) => this.#outcome(item, outcome, ms, exits, seen),
        timeout: () => {
          this.#end ??= 'timeout';
        },
      });
      const leave = () => worker.leave();
      signal?.addEventListener('abort', leave, { once: true });
      const how = await worker.ended();
      signal?.removeEventListener('abort', leave);
      if (signal?.aborted) return 'stopped';
      if (worker.probe !== null) this.#probeFailed(worker.probe, how);
      vain = this.#left.length === before && worker.probe === null ? vain + 1 : 0;
      if (worker.refused !== null) throw new SuiteProtocolError('the process that runs checks', worker.refused);
      if (!this.#end && vain > 1) throw new SuiteWorkerError(`the process that runs checks does not come up: ${how}`);
    }
    const late = this.#report();
    if (late) throw new KernelReportError(late, 'after the last check');
    return this.#end ?? 'done';
  }

  /** It costs what it would have found out, and nothing else. */
  #probeFailed(name: ProbeName, how: string): void {
    const report = this.#report();
    const why = report ? `the kernel says: ${report.lines[0]}` : `its process ended: ${how.split('\n', 1)[0]}`;
    this.#failedProbes[name] = why;
    this.#sink.note(`it was not found out ${probes[name]}: ${why}`);
  }

  /** What the kernel has reported since the last call. */
  #report(): LoggedReport | null {
    const report = this.#log?.report() ?? null;
    const lost = this.#log?.takeLost() ?? 0;
    if (lost > 0) this.#sink.note(lostRecords(lost));
    return report;
  }

  /** Returns false if the worker is to end. */
  #outcome(item: Item, outcome: Outcome, ms: number, exits: number, seen?: KernelTold): boolean {
    this.#left = this.#left.filter(({ n }) => n !== item.n);
    const report = this.#report();
    const early = this.#early;
    this.#early = null;
    const judged = report
      ? reported('the kernel says', report, outcome)
      : early
        ? reported('before this check began, the kernel said', early, outcome)
        : outcome;
    if (!this.#sink.outcome(item, judged, ms, exits, seen)) this.#end = 'stopped';
    // One that reports before any check would do so after each boot.
    if (report && this.#options.endWhenBroken) this.#end ??= 'broken';
    else if (report || early)
      this.#sink.note('the kernel is not sound any more: what follows may come from that; boot it again');
    return this.#end === null;
  }
}

/** A report of the kernel's is a failure whatever the check says. */
function reported(who: string, { lines: [first = '', ...rest] }: LoggedReport, outcome: Outcome): Outcome {
  const said = outcome.kind === 'fail' ? [`the check itself: ${outcome.reason}`, outcome.detail] : [];
  const detail = [...said, ...rest].filter((line) => line !== '').join('\n');
  return { kind: 'fail', cause: 'oops', reason: `${who}: ${first}`, detail };
}

interface WorkerSink {
  facts(facts: Facts): void;
  start(item: Item): void;
  outcome: Sink['outcome'];
  timeout(): void;
}

/** One worker process from its start to its end. */
class SupervisedWorker {
  readonly #process: WorkerProcess;
  readonly #items: ReadonlyMap<number, Item>;
  readonly #options: SupervisorOptions;
  readonly #sink: WorkerSink;
  readonly #ends: number;
  #current: { item: Item; began: number } | null = null;
  #timer: NodeJS.Timeout | undefined;
  #isLeft = false;
  /** Why it was killed, and what that makes of its check. */
  #killed: { why: string; cause: FailureKind } | null = null;
  /** What it told that no check can be blamed for, since none ran. */
  refused: string | null = null;
  /** What it asks the kernel before it tells its facts. */
  probe: ProbeName | null = null;
  /** Where its threads were then. */
  #threads: string[] = [];

  constructor(
    items: readonly Item[],
    known: { facts: Facts | null; failedProbes: FailedProbes },
    options: SupervisorOptions,
    ends: number,
    sink: WorkerSink,
  ) {
    this.#items = new Map(items.map((item) => [item.n, item]));
    this.#options = options;
    this.#sink = sink;
    this.#ends = ends;
    const { worker, module, mark, seed, device, profile, watch, counted, traced } = options;
    const job = { items: [...items], module, mark, seed, device, profile, watch, counted, traced, ...known };
    this.#process = new WorkerProcess(worker, job, (event, line) => this.#hear(event, line));
    this.#limit(IDLE, `it was silent for ${IDLE / 1000} s`);
  }

  /** Ends it, and says nothing of its check. */
  leave(): void {
    this.#isLeft = true;
    this.#process.kill();
  }

  /** How it ended, in words. */
  async ended(): Promise<string> {
    const how = await this.#process.ended;
    clearTimeout(this.#timer);
    const printed = this.#process.printed;
    if (this.#current && !this.#isLeft) {
      const { item, began } = this.#current;
      const reason = this.#killed?.why ?? `its process ended: ${how}`;
      const cause = this.#killed?.cause ?? 'crash';
      const unkillable = this.#killed && how !== 'signal SIGKILL' ? how : '';
      const detail = [...this.#threads, unkillable, printed].filter((line) => line !== '').join('\n');
      const ms = Math.round(performance.now() - began);
      this.#sink.outcome(item, { kind: 'fail', cause, reason, detail }, ms, 0);
    }
    return [this.#killed?.why ?? how, printed].filter((line) => line !== '').join('\n');
  }

  #hear(event: WorkerEvent | null, line: string): void {
    switch (event?.type) {
      case 'probe':
        this.probe = event.name;
        this.#limit(PROBE, `it hung: it did not end within ${PROBE / 1000} s`);
        break;
      case 'facts':
        this.probe = null;
        this.#limit(IDLE, `it was silent for ${IDLE / 1000} s`);
        this.#sink.facts(event.facts);
        this.#process.go();
        break;
      case 'start': {
        const item = this.#items.get(event.n);
        if (!item || this.#current) return void this.#refuse(line);
        this.#current = { item, began: performance.now() };
        const deadline = deadlineOf(checkOf(this.#options.checks, item), item.thorough ?? false);
        this.#limit(deadline + HANG, `it hung: it did not end within ${deadline} ms, nor ${HANG / 1000} s later`);
        this.#sink.start(item);
        break;
      }
      case 'outcome': {
        const { n, outcome, ms, exits, seen } = event;
        if (this.#current?.item.n !== n) return void this.#refuse(line);
        const { item } = this.#current;
        this.#current = null;
        this.#limit(IDLE, `it was silent for ${IDLE / 1000} s`);
        if (this.#sink.outcome(item, outcome, ms, exits, seen)) this.#process.go();
        else this.#process.kill();
        break;
      }
      case 'retire':
        break;
      case undefined:
        this.#refuse(line);
    }
  }

  /** Something in the process told what its worker does not: it ends, and with it the check that runs. */
  #refuse(line: string): void {
    const what = printable(line.slice(0, 200));
    if (!this.#current) this.refused = what;
    this.#killed ??= { why: `its process told what cannot be so: ${what}`, cause: 'error' };
    this.#process.kill();
  }

  /** Kills the process when this time is over, or that of the whole run. */
  #limit(ms: number, why: string): void {
    clearTimeout(this.#timer);
    const left = Math.max(0, this.#ends - performance.now());
    const whole = left < ms;
    this.#timer = setTimeout(
      () => {
        this.#killed = { why: whole ? 'the time that --timeout allows was over' : why, cause: 'deadline' };
        this.#threads = this.#process.threads;
        if (whole) this.#sink.timeout();
        this.#process.kill();
      },
      whole ? left : ms,
    );
  }
}
