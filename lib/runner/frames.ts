/**
 * How the process that runs a script talks to the one that judges it, on one stream and so in order: what the command says
 * stands in frames, a line each behind a secret of the run; all else is what the script, or a process of its own, prints.
 */
import { Writable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { deflateRawSync, inflateRawSync } from 'node:zlib';

/**
 * `exit` and `forwarded` (an exit as well) count; `result` is the last word; `begins` is not shown, nor is `counted`: exits that
 * nobody wants to see. `stored`: exits as the addon has stored them, which the one who shows them makes words of. `trace` is for the
 * file. `explored`: how many more schedules were run, for the progress line.
 */
export type FrameKind =
  | 'exit'
  | 'forwarded'
  | 'counted'
  | 'stored'
  | 'line'
  | 'result'
  | 'begins'
  | 'trace'
  | 'explored';

const letters: Record<FrameKind, string> = {
  exit: 'x',
  forwarded: 'f',
  counted: 'c',
  stored: 's',
  line: 'l',
  result: 'r',
  begins: 'b',
  trace: 't',
  explored: 'e',
};
const kinds = Object.fromEntries(Object.entries(letters).map(([kind, letter]) => [letter, kind]));

const begin = (secret: string) => `\x1e${secret}`;

/** @param code of a result: what the command ends with */
export function frames(secret: string, kind: FrameKind, text: string, code = 0): string {
  return text
    .split('\n')
    .map((line) => `${begin(secret)}${letters[kind]}${code} ${line}\n`)
    .join('');
}

/** Fewer are not worth it, in characters. */
const WORTH_PACKING = 1024;

/** Frames as one that has all of them, where that makes fewer bytes. */
export function packed(secret: string, text: string): string {
  if (text.length < WORTH_PACKING) return text;
  return `${begin(secret)}z0 ${deflated(text)}\n`;
}

export interface FrameSink {
  frame(kind: FrameKind, line: string, code: number): void;
  /** What is in no frame. */
  text(text: string): void;
}

/** Takes such a stream apart. */
export class FrameReader extends Writable {
  readonly #begin: string;
  readonly #sink: FrameSink;
  readonly #decoder = new StringDecoder('utf8');
  #rest = '';

  constructor(secret: string, sink: FrameSink) {
    super();
    this.#begin = begin(secret);
    this.#sink = sink;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#rest += this.#decoder.write(chunk);
    this.#read();
    done();
  }

  /** No more will come: a frame that was cut off is none. */
  override _final(done: () => void): void {
    if (this.#rest !== '' && !this.#rest.startsWith(this.#begin)) this.#sink.text(this.#rest);
    this.#rest = '';
    done();
  }

  #read(): void {
    for (;;) {
      const at = this.#rest.indexOf(this.#begin);
      if (at < 0) {
        // A frame's begin may still be on its way.
        const keep = this.#rest.lastIndexOf('\x1e');
        const cut = keep >= 0 && this.#begin.startsWith(this.#rest.slice(keep)) ? keep : this.#rest.length;
        this.#tell(cut);
        return;
      }
      this.#tell(at);
      const end = this.#rest.indexOf('\n');
      if (end < 0) return;
      const frame = this.#rest.slice(this.#begin.length, end);
      this.#rest = this.#rest.slice(end + 1);
      this.#frame(frame);
    }
  }

  #frame(frame: string): void {
    const [, letter, code, line] = /^([a-z])(\d+) (.*)$/s.exec(frame) ?? [];
    if (letter === 'z') {
      for (const inner of inflated(line!).toString().split('\n'))
        if (inner.startsWith(this.#begin)) this.#frame(inner.slice(this.#begin.length));
      return;
    }
    const kind = letter === undefined ? undefined : (kinds[letter] as FrameKind | undefined);
    if (kind) this.#sink.frame(kind, line!, Number(code));
  }

  #tell(end: number): void {
    if (end > 0) this.#sink.text(this.#rest.slice(0, end));
    this.#rest = this.#rest.slice(end);
  }
}

/** Bytes as a word of a frame. */
export const deflated = (data: string | Uint8Array): string => deflateRawSync(data, { level: 1 }).toString('base64');

/** Those bytes; none, if it was changed on its way, as of any frame. */
export function inflated(word: string): Buffer {
  try {
    return inflateRawSync(Buffer.from(word, 'base64'));
  } catch {
    return Buffer.alloc(0);
  }
}
