/** Where a command's output ends on a line that goes on: the machine's init writes a mark behind it. */

/** What init writes behind all output of a command that was given this secret. */
export const endMark = (secret: string): Buffer => Buffer.from(`\x1e${secret}`, 'latin1');

/** Passes output on, up to its end. */
export class OutputEnd {
  readonly #mark: Buffer;
  #held: Buffer = Buffer.alloc(0);
  ended = false;

  constructor(secret: string) {
    this.#mark = endMark(secret);
  }

  /** Takes bytes as they came, answers those that are output for certain. What stands behind the mark is nobody's. */
  feed(bytes: Buffer): Buffer {
    if (this.ended) return Buffer.alloc(0);
    const all = Buffer.concat([this.#held, bytes]);
    const at = all.indexOf(this.#mark);
    if (at >= 0) {
      this.ended = true;
      this.#held = Buffer.alloc(0);
      return all.subarray(0, at);
    }
    const keep = this.#begun(all);
    this.#held = all.subarray(keep);
    return all.subarray(0, keep);
  }

  /** What was held back, where no mark will come any more. */
  rest(): Buffer {
    const held = this.#held;
    this.#held = Buffer.alloc(0);
    return held;
  }

  /** Where a mark may have begun whose end is still on its way. */
  #begun(all: Buffer): number {
    for (let at = Math.max(0, all.length - this.#mark.length + 1); at < all.length; at++)
      if (this.#mark.subarray(0, all.length - at).equals(all.subarray(at))) return at;
    return all.length;
  }
}
