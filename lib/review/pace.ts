/** How far a review has come, and how long it will take: from what the same stages took before. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { elapsed, Progress } from '../lab/progress.ts';
import { reviewsDir } from './stages.ts';

/** Seconds on two idle cores, where nothing is known yet. */
const usual: Readonly<Record<string, number>> = {
  source: 60,
  'build the parent': 560,
  'build with the series': 150,
  'suite on svm': 100,
  'suite on vmx': 300,
  'suite of the parent on svm': 40,
  'suite of the parent on vmx': 120,
};

/** Tells stages and the time that is left. */
export class Pace implements Disposable {
  readonly #progress: Progress;
  readonly #known: Record<string, number>;
  readonly #begun = new Map<string, number>();
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

  begin(stage: string): void {
    this.#begun.set(stage, performance.now());
    this.#progress.stage(stage, this.#remaining());
  }

  /** How far a stage has come. */
  step(stage: string, words: string): void {
    this.#progress.step(`${words}; ${this.#remaining()}`);
    void stage;
  }

  /** It was done before: nothing of it is to come. */
  skip(stage: string): void {
    this.#left = this.#left.filter((one) => one !== stage);
  }

  end(stage: string): void {
    const began = this.#begun.get(stage);
    if (began !== undefined) this.#known[stage] = Math.round((performance.now() - began) / 1000);
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

  /** Two lanes run at a time. */
  #remaining(): string {
    const seconds = this.#left.reduce((sum, stage) => {
      const began = this.#begun.get(stage);
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
