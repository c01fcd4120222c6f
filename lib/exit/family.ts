/** What a family of exits is made of: each file beside this one has one, and all about its exits but their numbers. */

export interface Named<N extends string> {
  /** The kernel's name of the exit. */
  readonly name: N;
  /** kvm_run.exit_reason. */
  readonly reason: number;
}

/** One variant per name, so that each can be told from the others. */
export type Each<N extends string, Payload = unknown> = { [K in N]: Named<K> & Payload }[N];

export interface WithRaw {
  /** A copy of kvm_run's 256-byte union. */
  readonly raw: Uint8Array;
}

/** How an exit reads: as a sentence, and as JSON. */
export interface Readable<E> {
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
