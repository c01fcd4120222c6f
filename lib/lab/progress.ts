const everyMs = 15_000;

/** Where progress words go: one line each. */
export type Report = (line: string) => void;

/** Tells the stages of a long work with the time that has passed since its start. */
export class Progress {
  readonly #report: Report;
  readonly #started = performance.now();
  #told = 0;
  #stage = '';

  constructor(report: Report) {
    this.#report = report;
  }

  /** A new stage begins: told at once. */
  stage(name: string, detail = ''): void {
    this.#stage = name;
    this.#tell(detail);
  }

  /** The stage goes on: told when the last word is long enough ago. */
  step(detail: string): void {
    if (performance.now() - this.#told >= everyMs) this.#tell(detail);
  }

  #tell(detail: string): void {
    this.#told = performance.now();
    this.#report(`${elapsed(this.#told - this.#started)}  ${this.#stage}${detail ? `: ${detail}` : ''}`);
  }
}

/** 83000 is `1m23s`. */
export function elapsed(ms: number): string {
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)}m${String(seconds % 60).padStart(2, '0')}s`;
}
