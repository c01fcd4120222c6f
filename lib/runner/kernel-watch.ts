/** The kernel's log while a script runs: a kernel that reports that it is broken is no pass. */
import { KernelLog, KernelReportError, lostRecords } from '../host/kernel-log.ts';
import { failureOf } from './outcome.ts';
import type { ScriptFailure, ScriptOutcome } from './protocol.ts';

/** Watches the kernel's log for the runs of a script. */
export class KernelWatch implements Disposable {
  readonly #log: KernelLog | null;
  readonly #note: (text: string) => void;

  /** @param note takes words on what is not watched; called once if the log cannot be read at all */
  constructor(note: (text: string) => void, path?: string) {
    this.#note = note;
    const log = KernelLog.open(path);
    this.#log = typeof log === 'string' ? null : log;
    if (typeof log === 'string') note(log);
  }

  /** What came of a run that has just ended: failed, whatever the script says, if the kernel reported meanwhile. */
  judge(outcome: ScriptOutcome): ScriptOutcome {
    const report = this.#log?.report() ?? null;
    const lost = this.#log?.takeLost() ?? 0;
    if (lost > 0) this.#note(lostRecords(lost));
    if (report === null) return outcome;
    const kernel = failureOf(new KernelReportError(report, 'while the script ran'));
    return { ...outcome, failure: outcome.failure ? both(kernel, outcome.failure) : kernel };
  }

  [Symbol.dispose](): void {
    this.#log?.close();
  }
}

function both(kernel: ScriptFailure, script: ScriptFailure): ScriptFailure {
  return {
    ...kernel,
    text: `${kernel.text}\nThe script itself failed: ${script.text}`,
    json: { ...kernel.json, script: script.json },
  };
}
