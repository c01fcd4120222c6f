/** What the reports share that are one document, written at the end. */
import type { Head, Reporter, Summary } from '../run/reporter.ts';

/** What one run comes to. */
export interface Collected {
  head: Head;
  summary: Summary;
  notes: readonly string[];
}

/** A reporter that keeps all it hears, and gives it when the run is over. */
export function collectingReporter(take: (run: Collected) => void): Reporter {
  let head: Head;
  const notes: string[] = [];
  return {
    head(given) {
      head = given;
    },
    start() {},
    end() {},
    note(text) {
      notes.push(text);
    },
    tick() {},
    done: (summary) => take({ head, summary, notes }),
  };
}
