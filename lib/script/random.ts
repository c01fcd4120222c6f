/** Repeatable random choices, of a script or of a check. */
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { mersenne } from 'pure-rand/generator/mersenne';
import { checkInteger, checkList } from '../base/check.ts';
import { ArgumentError } from '../base/errors.ts';
import { MAX_SEED } from '../base/seed.ts';

let wasUsed: (random: Random) => boolean;

/** Repeatable random choices (MT19937): the same seed gives the same ones on every machine. */
export class Random {
  readonly #seed: number;
  #used = false;
  #generator: ReturnType<typeof mersenne> | undefined;

  /**
   * @param seed 0 to 0xffffffff
   * @throws ArgumentError
   */
  constructor(seed: number) {
    this.#seed = checkInteger('seed', seed, 0, MAX_SEED);
  }

  /** What repeats these choices. */
  get seed(): number {
    this.#used = true;
    return this.#seed;
  }

  /** An integer from `min` to `max`, both included; both are safe integers. @throws ArgumentError */
  integer(min: number, max: number): number {
    checkInteger('min', min, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
    checkInteger('max', max, min, Number.MAX_SAFE_INTEGER);
    return uniformInt(this.#next(), min, max);
  }

  /** One element of a list that is not empty. @throws ArgumentError */
  pick<T>(list: readonly T[]): T {
    if (checkList('list', list).length === 0)
      throw new ArgumentError('list', 'There is nothing to pick from an empty list', 'Give at least one element.');
    return list[this.integer(0, list.length - 1)]!;
  }

  /** A new list of the same elements in another order. @throws ArgumentError */
  shuffle<T>(list: readonly T[]): T[] {
    const shuffled = [...checkList('list', list)];
    for (let last = shuffled.length - 1; last > 0; last--) {
      const other = this.integer(0, last);
      [shuffled[last], shuffled[other]] = [shuffled[other]!, shuffled[last]!];
    }
    return shuffled;
  }

  /** That many bytes, each from 0 to 255; at most 64 MiB. @throws ArgumentError */
  bytes(length: number): Uint8Array<ArrayBuffer> {
    checkInteger('length', length, 0, 64 << 20);
    const generator = this.#next();
    return Uint8Array.from({ length }, () => uniformInt(generator, 0, 255));
  }

  #next(): ReturnType<typeof mersenne> {
    this.#used = true;
    this.#generator ??= mersenne(this.#seed);
    return this.#generator;
  }

  // For the command that runs scripts, and no part of the class that scripts see.
  static {
    wasUsed = (random) => random.#used;
  }
}

/** True if it has been asked for a choice, or for its seed. */
export function randomWasUsed(random: Random): boolean {
  return wasUsed(random);
}

/** The choices of another one: of which is asked anew each time. */
export class DelegatedRandom extends Random {
  readonly #source: () => Random;

  constructor(source: () => Random) {
    super(0);
    this.#source = source;
  }

  override get seed(): number {
    return this.#source().seed;
  }

  override integer(min: number, max: number): number {
    return this.#source().integer(min, max);
  }

  override bytes(length: number): Uint8Array<ArrayBuffer> {
    return this.#source().bytes(length);
  }
}
