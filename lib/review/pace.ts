/** How far a review has come, and how long it will take: from what the same stages took before. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { elapsed, Progress } from '../lab/progress.ts';
import { reviewsDir } from './stages.ts';

/** Seconds on two idle cores, where nothing is known yet. */
const usual: Readonly<Record<string, number>> = {
  source: 60,
  'look at the tree': 10,
  'build the parent': 560,
  'build with the series': 150,
  'suite on svm': 110,
  'suite on vmx': 290,
  'suite of the parent on svm': 40,
  'suite of the parent on vmx': 120,
};

/** Tells stages, of which two may go on at a time, and the time that is left. */
export class Pace implements Disposable {
  readonly #progress: Progress;
  readonly #known: Record<string, number>;
  /** What goes on: since when, and how far it is. */
  readonly #now = new Map<string, { began: number; words: string }>();
  #left: string[];

  /** @param stages what is to come, by the names that `begin` and `end` take */
  constructor(stages: readonly string[], report: (line: string) => void, everyMs?: number) {
    this.#progress = new Progress(report, everyMs);
    this.#known = { ...usual, ...readDurations() };
    this.#left = [...stages];
  }

  /** For what tells its own stages. */
  get progress(): Progress {
    return this.#progress;
  }

  /** A stage begins, unless it has. */
  begin(stage: string): void {
    if (this.#now.has(stage)) return;
    this.#now.set(stage, { began: performance.now(), words: '' });
    this.#tell();
  }

  /** How far a stage has come. */
  step(stage: string, words: string): void {
    const now = this.#now.get(stage);
    if (!now) return;
    now.words = words;
    this.#progress.step(this.#words());
  }

  /** It was done before: nothing of it is to come. */
  skip(stage: string): void {
    this.#left = this.#left.filter((one) => one !== stage);
    if (this.#now.delete(stage) && this.#now.size > 0) this.#tell();
  }

  end(stage: string): void {
    const now = this.#now.get(stage);
    if (now) this.#known[stage] = Math.round((performance.now() - now.began) / 1000);
    this.skip(stage);
    try {
      writeFileSync(join(reviewsDir(), 'durations.json'), JSON.stringify(this.#known));
    } catch {
      // The next review estimates worse.
    }
  }

  [Symbol.dispose](): void {
    this.#progress[Symbol.dispose]();
  }

  #tell(): void {
    this.#progress.stage([...this.#now.keys()].join(', '), this.#words());
  }

  #words(): string {
    const isAlone = this.#now.size === 1;
    const steps = [...this.#now].flatMap(([stage, { words }]) =>
      words ? [isAlone ? words : `${stage} ${words}`] : [],
    );
    return `${steps.length > 0 ? `${steps.join(', ')}; ` : ''}${this.#remaining()}`;
  }

  /** Two lanes run at a time. */
  #remaining(): string {
    const seconds = this.#left.reduce((sum, stage) => {
      const began = this.#now.get(stage)?.began;
      const gone = began === undefined ? 0 : (performance.now() - began) / 1000;
      const rest = Math.max((this.#known[stage] ?? 60) - gone, 5);
      return sum + (stage.startsWith('suite') ? rest / 2 : rest);
    }, 0);
    return `about ${elapsed(seconds * 1000)} left`;
  }
}

function readDurations(): Record<string, number> {
  try {
    return JSON.parse(readFileSync(join(reviewsDir(), 'durations.json'), 'utf8')) as Record<string, number>;
  } catch {
    return {};
  }
}
