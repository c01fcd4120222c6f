/** A world of plain JavaScript: threads of operations on shared variables. */
import type { Footprint } from '../../../lib/schedule/footprint.ts';
import type { World } from '../../../lib/schedule/world.ts';

/** Reads or writes a variable, or touches nothing that others see. */
export type Operation = { readonly on: string; readonly writes: boolean } | 'own' | 'unknown';

export const read = (on: string): Operation => ({ on, writes: false });
export const write = (on: string): Operation => ({ on, writes: true });

export class Toy implements World {
  /** Who has done what, in order. */
  done: { who: number; operation: Operation }[] = [];
  begun = 0;
  readonly threads: readonly (readonly Operation[])[];

  constructor(threads: readonly (readonly Operation[])[]) {
    this.threads = threads;
  }

  begin(): void {
    this.done = [];
    this.begun += 1;
  }

  ready(): number[] {
    return this.threads.flatMap((operations, who) => (this.#next(who) < operations.length ? [who] : []));
  }

  step(who: number): Footprint | null {
    const operation = this.threads[who]![this.#next(who)]!;
    this.done.push({ who, operation });
    return footprintOf(operation);
  }

  #next(who: number): number {
    return this.done.filter((step) => step.who === who).length;
  }
}

export function footprintOf(operation: Operation): Footprint | null {
  if (operation === 'unknown') return null;
  if (operation === 'own') return { memory: [], apic: false, interruptible: false };
  const from = operation.on.codePointAt(0)!;
  return { memory: [{ from, to: from + 1, writes: operation.writes }], apic: false, interruptible: false };
}

/** n threads of k steps of which nothing is known. */
export const grid = (n: number, k: number): Toy =>
  new Toy(Array.from({ length: n }, () => Array<Operation>(k).fill('unknown')));
