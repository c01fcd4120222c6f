import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { mersenne } from 'pure-rand/generator/mersenne';
import { checkInteger, checkList } from '../base/check.ts';
import { ArgumentError } from '../base/errors.ts';
import { freshSeed, isSeed, MAX_SEED } from '../base/seed.ts';

let restart: (random: Random, seed: number) => void;
let wasUsed: (random: Random) => boolean;

/** Repeatable random choices (MT19937): the same seed gives the same ones on every machine. */
export class Random {
  #seed: number;
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
    restart = (random, seed) => {
      random.#seed = checkInteger('seed', seed, 0, MAX_SEED);
      random.#used = false;
      random.#generator = undefined;
    };
    wasUsed = (random) => random.#used;
  }
}

/** Starts `random` anew, for the next run. */
export function restartRandom(seed: number): void {
  restart(random, seed);
}

/** True if `random` has been asked for a choice, or for its seed, since it started. */
export function randomWasUsed(): boolean {
  return wasUsed(random);
}

/**
 * A script's own random choices. `kvm-dsm run` seeds it anew for each run, from `--seed` if that is given; a program
 * that is run by plain node is given the seed of the environment variable KVM_DSM_SEED, or a fresh one.
 */
export const random = new Random(seedOfEnvironment() ?? freshSeed());

function seedOfEnvironment(): number | undefined {
  const text = process.env.KVM_DSM_SEED;
  return text !== undefined && isSeed(text) ? Number(text) : undefined;
}
