import { doing } from './doing.ts';
import { showsProgress, wipeProgress, withProgress } from './progress.ts';

/** How a long work tells of its stages. */
export interface ProgressLine {
  report(line: string, stage?: string): void;
  /** How often a stage that goes on is told again. */
  reportEveryMs?: number;
}

/** Does work that tells its stages: on a terminal in one line that is drawn over, elsewhere in lines. */
export function withProgressLine<T>(json: boolean, work: (line: ProgressLine) => Promise<T>): Promise<T> {
  const isDrawn = showsProgress({ json });
  const report = (line: string, stage?: string) => {
    if (stage !== undefined) doing(`at "${stage}"`);
    if (isDrawn && stage !== undefined) return;
    wipeProgress();
    process.stderr.write(`${line}\n`);
  };
  return withProgress({ json }, () => work({ report, ...(isDrawn ? { reportEveryMs: 500 } : {}) }));
}
