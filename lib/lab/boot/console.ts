/** The console of the lab's kernel: its log, and what it tells the host. */
import { LineSplitter } from '../../base/line-splitter.ts';
import { printable } from '../../base/text.ts';
import { type KernelReport, kernelReportIn, messageOf } from '../../host/kernel-reports.ts';
import { type Mark, type Marks, markIn } from './marks.ts';

/** What a line told. */
export type ConsoleEvent =
  | { type: 'mark'; mark: Mark }
  | { type: 'wrong-mark'; wrong: string }
  | { type: 'panic'; text: string }
  | { type: 'report'; report: KernelReport };

const panic = /Kernel panic - not syncing: (.*)/;
const kept = 400;
/** How much of the log stands before and after a report's first line in an error. */
const around = { before: 8, after: 30 };
/** No line of a kernel's is as long, in characters. */
const LONGEST = 65536;

/** Cuts the console's bytes into lines, keeps the last of them, and finds what the host has to know. */
export class ConsoleReader {
  readonly #splitter = new LineSplitter(LONGEST);
  readonly #lines: string[] = [];
  /** Where in the lines the first report begins. */
  #report: number | undefined;
  readonly #marks: Marks;
  readonly #commands: (text: string) => boolean;

  /**
   * @param marks of the machine's init
   * @param commands takes what stands behind the marker and is not init's; false if it is nothing but text
   */
  constructor(marks: Marks, commands: (text: string) => boolean = () => false) {
    this.#marks = marks;
    this.#commands = commands;
  }

  /** Takes bytes as they came; answers what the finished lines among them tell. */
  feed(bytes: Uint8Array): ConsoleEvent[] {
    return this.#splitter.feed(bytes).flatMap((line) => this.#take(line) ?? []);
  }

  /** The log's last lines, or those around the first report; without the marks. */
  tail(count = 25): string[] {
    const last = shown(this.#splitter.rest);
    const lines = last === '' ? this.#lines : [...this.#lines, last];
    if (this.#report === undefined) return lines.slice(-count);
    return lines.slice(Math.max(0, this.#report - around.before), this.#report + around.after);
  }

  #take(line: string): ConsoleEvent | undefined {
    const said = this.#marks.read(line);
    if (said)
      return 'wrong' in said ? { type: 'wrong-mark', wrong: printable(said.wrong) } : { type: 'mark', mark: said };
    const text = shown(line);
    if (text === '') return undefined;
    const behindMarker = markIn(line);
    if (behindMarker !== null && this.#commands(behindMarker)) return undefined;
    const event = readLine(text);
    if (event) this.#report ??= this.#lines.length;
    this.#lines.push(text);
    if (this.#report === undefined && this.#lines.length > kept) this.#lines.shift();
    else if (this.#report !== undefined && this.#lines.length > kept + around.after) this.#lines.pop();
    return event;
  }
}

/** What one line of the kernel's log tells. @param text as a person sees it */
function readLine(text: string): ConsoleEvent | undefined {
  const died = panic.exec(text);
  if (died) return { type: 'panic', text: died[1] ?? '' };
  const report = kernelReportIn(messageOf(text));
  return report ? { type: 'report', report } : undefined;
}

/** As a person sees it. Lines end with a carriage return too, and a line that nobody drives brings zeros. */
function shown(line: string): string {
  return printable(line.replaceAll('\0', '').trimEnd());
}
