import { Writable } from 'node:stream';

/** A stream that hands on what is written to it line by line. */
export class LineWriter extends Writable {
  readonly #take: (line: string) => void;
  #rest = '';

  constructor(take: (line: string) => void) {
    super({ decodeStrings: false });
    this.#take = take;
  }

  override _write(chunk: Buffer | string, _encoding: BufferEncoding, done: () => void): void {
    const lines = (this.#rest + chunk.toString()).split('\n');
    this.#rest = lines.pop()!;
    for (const line of lines) this.#take(line);
    done();
  }
}
