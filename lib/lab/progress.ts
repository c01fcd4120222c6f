/** The progress of a long work, in words. */

/** Where progress words go: one line each; with what goes on from now on, if the line is about that. */
export type Report = (line: string, stage?: string) => void;

/** Tells the stages of a long work with the time that has passed since its start, and goes on telling. */
export class Progress implements Disposable {
  readonly #report: Report;
  readonly #started = performance.now();
  readonly #timer: NodeJS.Timeout;
  #stage = '';
  #detail = '';

  /** @param everyMs how often a stage that goes on is told again */
  constructor(report: Report, everyMs = 15_000) {
    this.#report = report;
    this.#timer = setInterval(() => this.#stage !== '' && this.#tell(), everyMs);
    this.#timer.unref();
  }

  /** A new stage begins: told at once. */
  stage(name: string, detail = ''): void {
    this.#stage = name;
    this.#detail = detail;
    this.#tell();
    this.#timer.refresh();
  }

  /** How far the stage has come: told at its time. */
  step(detail: string): void {
    this.#detail = detail;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #tell(): void {
    const time = elapsed(performance.now() - this.#started);
    const stage = `${this.#stage}${this.#detail ? `: ${this.#detail}` : ''}`;
    this.#report(`${time}  ${stage}`, stage);
  }
}

/** 83000 is `1m23s`. */
export function elapsed(ms: number): string {
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)}m${String(seconds % 60).padStart(2, '0')}s`;
}
