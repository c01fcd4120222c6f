/** How far a run of the suite is, in one line: the check, how many have failed, and the time that is left by its own pace. */
export class SoFar {
  readonly #all: number;
  readonly #began = performance.now();
  #ended = 0;
  #failed = 0;

  /** @param all how many checks the plan has */
  constructor(all: number) {
    this.#all = all;
  }

  /** One has ended. */
  end(hasFailed: boolean): void {
    this.#ended += 1;
    if (hasFailed) this.#failed += 1;
  }

  /** While a check runs. */
  words(name: string, seconds = 0): string {
    const left = ((performance.now() - this.#began) / this.#ended) * (this.#all - this.#ended);
    const parts = [
      `[${Math.min(this.#ended + 1, this.#all)}/${this.#all}] ${name}${seconds > 0 ? ` ${seconds} s` : ''}`,
      ...(this.#failed > 0 ? [`${this.#failed} failed`] : []),
      // A few checks are no pace.
      ...(this.#ended >= PACE ? [`about ${Math.round(left / 1000)} s left`] : []),
    ];
    return parts.join(', ');
  }
}

const PACE = 5;
