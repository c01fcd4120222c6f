/** Bytes as they come, cut into lines. */

/** What stands behind a line that was too long. */
const CUT = ' (a line cut here)';

/**
 * Cuts bytes into lines at their ends. Costs time by the number of bytes alone, and memory for no more than one line: what
 * is longer is cut, and its rest is dropped. What is no UTF-8 becomes U+FFFD; a character may come in several pieces.
 */
export class LineSplitter {
  readonly #longest: number;
  readonly #decoder = new TextDecoder();
  /** The line that has not ended yet, in the pieces that came, and how long they are together. */
  #pieces: string[] = [];
  #length = 0;

  /** @param longest the most characters of a line */
  constructor(longest: number) {
    this.#longest = longest;
  }

  /** The lines that these bytes end, without their ends. */
  feed(bytes: Uint8Array): string[] {
    const [first = '', ...rest] = this.#decoder.decode(bytes, { stream: true }).split('\n');
    this.#add(first);
    return rest.map((piece) => {
      const line = this.rest;
      this.#pieces = [];
      this.#length = 0;
      this.#add(piece);
      return line;
    });
  }

  /** The line that has not ended yet. */
  get rest(): string {
    return this.#pieces.join('');
  }

  #add(piece: string): void {
    const room = this.#longest - this.#length;
    if (piece === '' || room < 0) return;
    this.#pieces.push(piece.length > room ? piece.slice(0, room) + CUT : piece);
    this.#length += piece.length;
  }
}
