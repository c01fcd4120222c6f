/** What a family of exits is made of: each file beside this one has one, and all about its exits but their numbers. */

import { RUN_UNION_SIZE } from '../abi/kvm/kvm-run.ts';
import { bytes, listOf, u64Bigint, type ValueCheck } from '../base/shape.ts';

/** What every exit has: its kind by name, and by number. */
export interface Named<N extends string> {
  /** The kernel's name of the exit: it tells the variants of `Exit` apart. */
  readonly name: N;
  /** kvm_run.exit_reason. */
  readonly reason: number;
}

/** What exits have whose payload is not known in full. */
export interface WithRaw {
  /** A copy of kvm_run's 256-byte union. */
  readonly raw: Uint8Array;
}

type AllKeys<E> = E extends unknown ? keyof E : never;
type ValueOf<E, K> = E extends unknown ? (K extends keyof E ? E[K] : never) : never;

/** What values each field of an exit can have: without one of its fields, this does not compile. */
export type FieldChecks<E> = {
  readonly [K in Exclude<AllKeys<E>, 'name' | 'reason'>]: ValueCheck<Exclude<ValueOf<E, K>, undefined>>;
};

/** The union as a field. */
export const rawField = bytes(0, RUN_UNION_SIZE);
/** At most so many words of 64 bits. */
export const wordsField =
  (most: number): ValueCheck<bigint[]> =>
  (argument, value) => [...listOf(u64Bigint, most)(argument, value)];

/** How an exit reads: as a sentence, and as JSON; and what its fields can be. */
export interface Readable<E> {
  readonly fields: FieldChecks<E>;
  /** What follows its name and a colon. Left out: the name says all. */
  text?(exit: E): string;
  /** Its members for JSON, in order, where they are not those of the exit. */
  json?(exit: E): object;
  /**
   * Whether KVM_RUN can be called again as if nothing had come, so that a vCPU's thread may store the exit and go on.
   * False: the answer, or what becomes of the vCPU, is the caller's to decide.
   */
  readonly goesOnByItself: boolean;
}

/** One exit of mainline. */
export interface Kind<E> extends Readable<E> {
  /** A copy of what lies in the mapping, which may hold anything: it never throws. */
  decode(view: DataView, reason: number): E;
}

/** A kind for each exit of a union. */
export type Kinds<E extends Named<string>> = { readonly [N in E['name']]: Kind<Extract<E, Named<N>>> };
