/** A stream's text, line by line. */
import { Writable } from 'node:stream';
import { LineSplitter } from '../../base/line-splitter.ts';

/** More than any event has, whatever its check has printed. */
const LONGEST = 16 << 20;

/** A stream that hands on what is written to it line by line. */
export class LineWriter extends Writable {
  readonly #take: (line: string) => void;
  readonly #lines = new LineSplitter(LONGEST);

  constructor(take: (line: string) => void) {
    super({ decodeStrings: true });
    this.#take = take;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    for (const line of this.#lines.feed(chunk)) this.#take(line);
    done();
  }
}
