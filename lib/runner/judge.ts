/** The process that a user has started: it shows what the script's process tells, and has the last word. */
import { jsonText, plural } from '../base/text.ts';
import { endLine } from '../picture/file/records.ts';
import { print } from '../target/output.ts';
import { progress } from '../target/progress.ts';
import { reportError } from '../target/report-error.ts';
import { orInterruption } from '../target/signals.ts';
import { type FrameKind, FrameReader } from './frames.ts';
import { failureOf } from './outcome.ts';
import type { ParsedRun, RunBegin } from './protocol.ts';
import { kindOf, lineOf, scriptReporter } from './report.ts';
import { StoredReader } from './stored-events.ts';
import { TraceFile } from './trace-file.ts';

export class Judge {
  /** Takes the output of the script's process. */
  readonly output: FrameReader;
  readonly #run: ParsedRun;
  readonly #onBegin: () => void;
  readonly #stored = new StoredReader();
  /** So many were run. */
  #schedules = 0;
  #result: { lines: string[]; code: number } | undefined;
  #at: RunBegin = { run: 1, exits: 0, forwarded: 0, seed: undefined, on: null };
  readonly #trace: TraceFile | undefined;

  /**
   * @param run with its secret
   * @param onBegin called when a run begins
   */
  constructor(run: ParsedRun, onBegin: () => void = () => {}) {
    this.#run = run;
    this.#onBegin = onBegin;
    const { trace } = run.options;
    if (trace !== undefined) this.#trace = new TraceFile(trace);
    const text = run.options.json ? (text: string) => print(`${jsonText({ type: 'stdout', text })}\n`) : print;
    this.output = new FrameReader(run.secret!, { frame: (...frame) => this.#frame(...frame), text });
  }

  /**
   * All is over: tells the result that the script's process told, or another one if something else ended it.
   *
   * @param error what went wrong outside of the script
   * @param lost what went wrong if there is no result
   * @returns the exit code
   */
  async end(error: unknown, lost: () => unknown): Promise<number> {
    const code = await this.#end(error, lost);
    if (!this.#trace) return code;
    this.#trace.write(jsonText(endLine(code === 0, code)));
    try {
      this.#trace.close();
      return code;
    } catch (failed) {
      const traceCode = reportError(failed, false);
      return code === 0 ? traceCode : code;
    }
  }

  async #end(error: unknown, lost: () => unknown): Promise<number> {
    error = await orInterruption(error);
    if (error === undefined && this.#result) {
      for (const line of this.#result.lines) print(`${line}\n`);
      return this.#result.code;
    }
    const failure = failureOf(error ?? lost());
    const { run, on, ...outcome } = this.#at;
    const { trace: _trace, ...options } = this.#run.options;
    const reporter = scriptReporter({ ...this.#run, options, secret: null });
    reporter.ended({ ...outcome, seeded: false, failure }, run, on);
    return failure.exitCode;
  }

  /** Makes the lines of exits that were sent as they are stored. */
  #show(frame: string): void {
    const lines: string[] = [];
    for (const event of this.#stored.read(frame)) {
      const kind = kindOf(event);
      if (kind !== 'line') this.#at.exits += 1;
      if (kind === 'forwarded') this.#at.forwarded += 1;
      lines.push(`${lineOf(event, this.#run.options.json, this.#stored.machine)}\n`);
    }
    print(lines.join(''));
    this.#tellHowFar();
  }

  #frame(kind: FrameKind, line: string, code: number): void {
    if (kind === 'begins') {
      this.#at = JSON.parse(line) as RunBegin;
      this.#onBegin();
    } else if (kind === 'stored') {
      this.#show(line);
    } else if (kind === 'counted') {
      const [exits = 0, forwarded = 0] = JSON.parse(line) as number[];
      this.#at.exits += exits;
      this.#at.forwarded += forwarded;
      this.#tellHowFar();
    } else if (kind === 'result') {
      // The first one counts.
      this.#result ??= { lines: [], code };
      this.#result.lines.push(line);
    } else if (kind === 'explored') {
      this.#schedules += Number(line);
      progress(plural(this.#schedules, 'schedule'));
    } else if (kind === 'trace') {
      this.#trace?.write(line);
    } else {
      if (kind !== 'line') this.#at.exits += 1;
      if (kind === 'forwarded') this.#at.forwarded += 1;
      print(`${line}\n`);
      if (kind !== 'line') this.#tellHowFar();
    }
  }

  #tellHowFar(): void {
    const { run, exits } = this.#at;
    const { repeat } = this.#run.options;
    progress(`${repeat > 1 ? `run ${run} of ${repeat}, ` : ''}${exits} exits`);
  }
}
