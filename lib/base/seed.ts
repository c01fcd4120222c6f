/** The highest seed. */
export const MAX_SEED = 0xffff_ffff;

/** Odd, so that no two of 2^32 runs have the same seed; large, so that those of neighbours share no pattern. */
const SEED_STEP = 0x9e37_79b9;

/** The seed of run `run` (from 1) of several whose first has `seed`: no two of them are the same. */
export function seedOfRun(seed: number, run: number): number {
  return (seed + Math.imul(run - 1, SEED_STEP)) >>> 0;
}

/** A seed that nobody chose. */
export function freshSeed(): number {
  return Math.floor(Math.random() * (MAX_SEED + 1));
}

/** True for an unsigned 32-bit number, in digits or as 0x... */
export function isSeed(text: string): boolean {
  return /^(?:\d+|0x[0-9a-f]+)$/i.test(text) && Number(text) <= MAX_SEED;
}
