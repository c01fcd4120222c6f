/** The process that a user has started: it shows what the script's process tells, and has the last word. */
import { jsonText } from '../base/text.ts';
import { endLine } from '../picture/file/records.ts';
import { print } from '../target/output.ts';
import { reportError } from '../target/report-error.ts';
import { ScriptInterruptedError } from './errors.ts';
import { type FrameKind, FrameReader } from './frames.ts';
import { failureOf } from './outcome.ts';
import type { ParsedRun, RunBegin } from './protocol.ts';
import { scriptReporter } from './report.ts';
import { TraceFile } from './trace-file.ts';

const deadly: NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];

export class Judge {
  /** Takes the output of the script's process. */
  readonly output: FrameReader;
  readonly #run: ParsedRun;
  readonly #onBegin: () => void;
  #result: { lines: string[]; code: number } | undefined;
  #at: RunBegin = { run: 1, exits: 0, forwarded: 0, seed: undefined };
  readonly #trace: TraceFile | undefined;
  #signal: NodeJS.Signals | undefined;

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

  /** Signals no longer end this process, which has a result to tell: `onSignal` ends the script's. */
  catchSignals(onSignal: (signal: NodeJS.Signals) => void): void {
    for (const name of deadly)
      process.on(name, () => {
        this.#signal ??= name;
        onSignal(name);
      });
  }

  /**
   * All is over: tells the result that the script's process told, or another one if something else ended it.
   *
   * @param error what went wrong outside of the script
   * @param lost what went wrong if there is no result
   * @returns the exit code
   */
  end(error: unknown, lost: () => unknown): number {
    const code = this.#end(error, lost);
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

  #end(error: unknown, lost: () => unknown): number {
    if (this.#signal) error = new ScriptInterruptedError(this.#signal);
    if (error === undefined && this.#result) {
      for (const line of this.#result.lines) print(`${line}\n`);
      return this.#result.code;
    }
    const failure = failureOf(error ?? lost());
    const { run, ...outcome } = this.#at;
    const { trace: _trace, ...options } = this.#run.options;
    const reporter = scriptReporter({ ...this.#run, options, secret: null });
    reporter.ended({ ...outcome, seeded: false, failure }, run);
    return failure.exitCode;
  }

  #frame(kind: FrameKind, line: string, code: number): void {
    if (kind === 'begins') {
      this.#at = JSON.parse(line) as RunBegin;
      this.#onBegin();
    } else if (kind === 'result') {
      // The first one counts.
      this.#result ??= { lines: [], code };
      this.#result.lines.push(line);
    } else if (kind === 'trace') {
      this.#trace?.write(line);
    } else {
      if (kind !== 'line') this.#at.exits += 1;
      if (kind === 'forwarded') this.#at.forwarded += 1;
      print(`${line}\n`);
    }
  }
}
