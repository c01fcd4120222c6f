/** A stream's text, line by line. */
import { Writable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';

/** A stream that hands on what is written to it line by line. */
export class LineWriter extends Writable {
  readonly #take: (line: string) => void;
  readonly #decoder = new StringDecoder('utf8');
  #rest = '';

  constructor(take: (line: string) => void) {
    super({ decodeStrings: false });
    this.#take = take;
  }

  override _write(chunk: Buffer | string, _encoding: BufferEncoding, done: () => void): void {
    const lines = (this.#rest + (typeof chunk === 'string' ? chunk : this.#decoder.write(chunk))).split('\n');
    this.#rest = lines.pop()!;
    for (const line of lines) this.#take(line);
    done();
  }
}
