/** `--trace <dir>`: a trace file for each check that fails. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { jsonText } from '../../base/text.ts';
import { endLine, failureLine, headLine } from '../../picture/file/records.ts';
import type { Facts } from '../../suite/run/facts.ts';
import type { Executor, Item, Outcome } from '../../suite/run/protocol.ts';
import { version } from '../../target/version.ts';
import { TraceFile, TraceFileError } from '../trace-file.ts';

export class TraceFolder {
  readonly #folder: string;
  readonly #repeat: number;

  /** @param repeat how often each check runs @throws TraceFileError */
  constructor(folder: string, repeat: number) {
    this.#folder = folder;
    this.#repeat = repeat;
    try {
      mkdirSync(folder, { recursive: true });
    } catch (error) {
      throw new TraceFileError(folder, error as Error);
    }
  }

  /** The same, which leaves a file of each failure, whose name its detail begins with. @param row what the kernel was told, by its name */
  around(executor: Executor, unknown: Facts, row?: string): Executor {
    return (items, sink) => {
      let facts = unknown;
      return executor(items, {
        ...sink,
        facts: (told) => {
          facts = told;
          sink.facts(told);
        },
        outcome: (item, outcome, ...rest) => sink.outcome(item, this.#keep(item, outcome, facts, row), ...rest),
      });
    };
  }

  /** @throws TraceFileError */
  #keep(item: Item, outcome: Outcome, { on, kernel, profile }: Facts, row?: string): Outcome {
    if (outcome.kind !== 'fail' || !outcome.trace) return outcome;
    const { trace, reason, detail } = outcome;
    const round = this.#repeat > 1 ? [String(item.round)] : [];
    const path = join(this.#folder, [...(row === undefined ? [] : [row]), item.id, ...round, 'ndjson'].join('.'));
    const file = new TraceFile(path);
    const head = headLine({ package: version(), kernel, profile, on });
    for (const line of [head, ...trace, failureLine({ code: 'ERR_CHECK', message: reason }), endLine(false, 1)])
      file.write(jsonText(line));
    file.close();
    return { ...outcome, detail: `trace: ${path}\n${detail}` };
  }
}
