/** The console of the lab's kernel: its log, and what it tells the host. */
import { printable } from '../../base/text.ts';
import { type KernelReport, kernelReportIn, messageOf } from '../../host/kernel-reports.ts';
import { marker } from '../disk/init.ts';

/** What a line told. */
export type ConsoleEvent =
  | { type: 'mark'; word: string; rest: string }
  | { type: 'panic'; text: string }
  | { type: 'report'; report: KernelReport };

const panic = /Kernel panic - not syncing: (.*)/;
const kept = 400;
/** How much of the log stands before and after a report's first line in an error. */
const around = { before: 8, after: 30 };
/** No line of a kernel's is as long, in characters: what is longer is cut, and its rest is dropped. */
const LONGEST = 65536;
const CUT = ' (a line cut here)';

/** Cuts the console's bytes into lines, keeps the last of them, and finds what the host has to know. */
export class ConsoleReader {
  /** The line that has not ended yet, in the pieces that came, and how long they are together. */
  #pieces: string[] = [];
  #length = 0;
  readonly #lines: string[] = [];
  /** Where in the lines the first report begins. */
  #report: number | undefined;
  readonly #decoder = new TextDecoder();

  /** Takes bytes as they came; answers what the finished lines among them tell. */
  feed(bytes: Uint8Array): ConsoleEvent[] {
    const [first = '', ...rest] = this.#decoder.decode(bytes, { stream: true }).split('\n');
    this.#add(first);
    const events: ConsoleEvent[] = [];
    for (const piece of rest) {
      const event = this.#take(this.#line());
      if (event) events.push(event);
      this.#pieces = [];
      this.#length = 0;
      this.#add(piece);
    }
    return events;
  }

  /** The log's last lines, or those around the first report; without the marks. */
  tail(count = 25): string[] {
    const last = shown(this.#line());
    const lines = last === '' ? this.#lines : [...this.#lines, last];
    if (this.#report === undefined) return lines.slice(-count);
    return lines.slice(Math.max(0, this.#report - around.before), this.#report + around.after);
  }

  #add(piece: string): void {
    const room = LONGEST - this.#length;
    if (piece === '' || room < 0) return;
    this.#pieces.push(piece.length > room ? piece.slice(0, room) + CUT : piece);
    this.#length += piece.length;
  }

  #line(): string {
    return this.#pieces.join('');
  }

  #take(line: string): ConsoleEvent | undefined {
    const event = readLine(line);
    const text = shown(line);
    if (event?.type !== 'mark' && text !== '') {
      if (event) this.#report ??= this.#lines.length;
      this.#lines.push(text);
      if (this.#report === undefined && this.#lines.length > kept) this.#lines.shift();
      else if (this.#report !== undefined && this.#lines.length > kept + around.after) this.#lines.pop();
    }
    return event;
  }
}

/** What one line of the console tells the host. */
export function readLine(line: string): ConsoleEvent | undefined {
  const at = line.indexOf(`${marker} `);
  if (at >= 0) {
    const [word = '', ...rest] = line
      .slice(at + marker.length + 1)
      .trim()
      .split(' ');
    return { type: 'mark', word, rest: rest.join(' ') };
  }
  const text = shown(line);
  const died = panic.exec(text);
  if (died) return { type: 'panic', text: died[1] ?? '' };
  const report = kernelReportIn(messageOf(text));
  return report ? { type: 'report', report } : undefined;
}

/** As a person sees it. Lines end with a carriage return too, and a line that nobody drives brings zeros. */
function shown(line: string): string {
  return printable(line.replaceAll('\0', '').trimEnd());
}
