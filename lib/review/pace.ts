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
  readonly #now = new Map<string, { began: number; words: string; share: number }>();
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
    this.#now.set(stage, { began: performance.now(), words: '', share: 0 });
    this.#tell();
  }

  /** How far a stage has come; `share` from 0 to 1, where it is known. */
  step(stage: string, words: string, share = 0): void {
    const now = this.#now.get(stage);
    if (!now) return;
    now.words = words;
    now.share = share;
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

  /** Two lanes run at a time: as long as the longer one, at least. */
  #remaining(): string {
    const rests = this.#left.map((stage) => ({ isSuite: stage.startsWith('suite'), seconds: this.#rest(stage) }));
    const sum = (isSuite: boolean) =>
      rests.filter((rest) => rest.isSuite === isSuite).reduce((all, { seconds }) => all + seconds, 0);
    const longest = Math.max(0, ...rests.filter(({ isSuite }) => isSuite).map(({ seconds }) => seconds));
    return `about ${elapsed((sum(false) + Math.max(sum(true) / 2, longest)) * 1000)} left`;
  }

  /** By its own pace, once it has one; else by what it took before. */
  #rest(stage: string): number {
    const now = this.#now.get(stage);
    const gone = now === undefined ? 0 : (performance.now() - now.began) / 1000;
    if (now && now.share > 0.1) return (gone * (1 - now.share)) / now.share;
    return Math.max((this.#known[stage] ?? 60) - gone, 5);
  }
}

function readDurations(): Record<string, number> {
  try {
    return JSON.parse(readFileSync(join(reviewsDir(), 'durations.json'), 'utf8')) as Record<string, number>;
  } catch {
    return {};
  }
}
