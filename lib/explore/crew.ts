/** Several processes that explore side by side: one alone leaves all CPUs but its own idle. */
import type { ChildProcess } from 'node:child_process';
import { KvmDsmError } from '../base/errors.ts';
import { LineSplitter } from '../base/line-splitter.ts';
import { startOwn } from '../target/own-process.ts';
import { type ExploreDocument, type ExploreTotals, perSecond } from './report.ts';

/** What an explorer tells, one a line. */
export type ExploreEvent =
  | { type: 'begin'; where: string }
  | ({ type: 'progress' } & ExploreTotals)
  /** A difference, which is made smaller from now on. */
  | { type: 'found' }
  | { type: 'end'; document: ExploreDocument };

/** One of several processes that explore ended before it had said what came of it. */
export class ExplorerLostError extends KvmDsmError {
  readonly code = 'ERR_EXPLORER_LOST';
  override readonly exitCode: number;

  constructor(how: string, exitCode: number) {
    super(`one of the processes that explore ended by itself: ${how}`, {
      advice: 'What it wrote above says why; with --jobs 1 there is one process alone.',
    });
    this.exitCode = exitCode;
  }
}

/** No event has more characters. */
const LONGEST = 16 << 20;

/**
 * Explores in so many processes, each of which takes its turn of the seeds. The first difference ends the others.
 *
 * @param argsOf the command line of each
 * @param onProgress is told of all together
 * @throws ExplorerLostError; `signal.reason`
 */
export async function exploreTogether(
  jobs: number,
  argsOf: (turn: number) => readonly string[],
  signal: AbortSignal,
  onProgress: (totals: ExploreTotals) => void,
): Promise<ExploreDocument> {
  const totals = Array.from({ length: jobs }, (): ExploreTotals => ({ histories: 0, ms: 0 }));
  const together = () => ({
    histories: totals.reduce((sum, { histories }) => sum + histories, 0),
    ms: Math.max(...totals.map(({ ms }) => ms)),
  });
  const children: ChildProcess[] = [];
  let finder: number | null = null;
  const endAll = (but: number | null = null) => {
    for (const [turn, child] of children.entries()) if (turn !== but) child.kill('SIGKILL');
  };
  const one = (turn: number) =>
    new Promise<ExploreDocument | null>((resolve, reject) => {
      const child = startOwn(argsOf(turn), [], {}, 'pipe');
      children.push(child);
      const lines = new LineSplitter(LONGEST);
      let document: ExploreDocument | null = null;
      child.stdout!.on('data', (bytes: Buffer) => {
        for (const line of lines.feed(bytes)) {
          if (finder !== null && finder !== turn) return;
          const event = JSON.parse(line) as ExploreEvent;
          if (event.type === 'found') {
            finder = turn;
            endAll(turn);
          } else if (event.type === 'progress') {
            totals[turn] = event;
            onProgress(together());
          } else if (event.type === 'end') {
            document = event.document;
            totals[turn] = document;
          }
        }
      });
      child.on('error', reject);
      child.on('close', (code, killed) => {
        if (document !== null || (finder !== null && finder !== turn)) resolve(document);
        else reject(new ExplorerLostError(killed ? `signal ${killed}` : `exit code ${code}`, code || 1));
      });
    });
  const abort = () => endAll();
  signal.addEventListener('abort', abort, { once: true });
  try {
    const all = await Promise.all(Array.from({ length: jobs }, (_, turn) => one(turn)));
    const ended = all.filter((document) => document !== null);
    const best = ended.find(({ difference }) => difference !== null) ?? ended[0]!;
    const sum = together();
    return { ...best, ...sum, perSecond: perSecond(sum) };
  } catch (error) {
    endAll();
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
