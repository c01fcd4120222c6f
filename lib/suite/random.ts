/** Numbers that depend on a seed alone: the same run again, wherever it runs. */
export class Random {
  #state: number;

  /** @param seed 0..2^32-1 */
  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A number from 0 to `below` - 1; `below` from 1 to 2^32. */
  integer(below: number): number {
    // The finalizer of a 32-bit hash over a counter.
    this.#state = (this.#state + 0x9e37_79b9) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0_aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a_2d97);
    mixed = (mixed ^ (mixed >>> 15)) >>> 0;
    return Math.floor((mixed / 2 ** 32) * below);
  }

  /** A new list of the same things in another order. */
  shuffled<T>(list: readonly T[]): T[] {
    const mixed = [...list];
    for (let last = mixed.length - 1; last > 0; last--) {
      const other = this.integer(last + 1);
      [mixed[last], mixed[other]] = [mixed[other]!, mixed[last]!];
    }
    return mixed;
  }
}

/** A seed that a text and another seed give. */
export function seedOf(text: string, seed: number): number {
  let hash = seed >>> 0;
  for (const character of text) hash = Math.imul(hash ^ character.codePointAt(0)!, 0x0100_0193) >>> 0;
  return hash;
}
