/** The console of the lab's kernel: its log, and what it tells the host. */
import { marker } from '../disk/init.ts';

/** What a line told. */
export type ConsoleEvent =
  | { type: 'mark'; word: string; rest: string }
  | { type: 'panic'; text: string }
  | { type: 'oops'; text: string };

const panic = /Kernel panic - not syncing: (.*)/;
const oopses = [
  /\b(BUG: (?:kernel NULL pointer|unable to handle).*)/,
  /\b(Oops: .*)/,
  /\b(kernel BUG at .*)/,
  /\b(general protection fault.*)/,
  /\b(watchdog: BUG: soft lockup.*)/,
  /\b(traps: PANIC.*)/,
];
const kept = 400;
/** How much of the log stands before and after a crash's first line in a report. */
const around = { before: 8, after: 30 };

/** Cuts the console's bytes into lines, keeps the last of them, and finds what the host has to know. */
export class ConsoleReader {
  #rest = '';
  readonly #lines: string[] = [];
  /** Where in the lines the first crash begins. */
  #crash: number | undefined;
  readonly #decoder = new TextDecoder();

  /** Takes bytes as they came; answers what the finished lines among them tell. */
  feed(bytes: Uint8Array): ConsoleEvent[] {
    const lines = (this.#rest + this.#decoder.decode(bytes, { stream: true })).split('\n');
    this.#rest = lines.pop() ?? '';
    return lines.flatMap((line) => {
      const event = readLine(line);
      const text = printable(line);
      if (event?.type !== 'mark' && text !== '') {
        if (event) this.#crash ??= this.#lines.length;
        this.#lines.push(text);
        if (this.#crash === undefined && this.#lines.length > kept) this.#lines.shift();
        else if (this.#crash !== undefined && this.#lines.length > kept + around.after) this.#lines.pop();
      }
      return event ?? [];
    });
  }

  /** The log's last lines, or those around the first crash; without the marks. */
  tail(count = 25): string[] {
    const last = printable(this.#rest);
    const lines = last === '' ? this.#lines : [...this.#lines, last];
    if (this.#crash === undefined) return lines.slice(-count);
    return lines.slice(Math.max(0, this.#crash - around.before), this.#crash + around.after);
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
  const died = panic.exec(line);
  if (died) return { type: 'panic', text: printable(died[1] ?? '') };
  for (const pattern of oopses) {
    const found = pattern.exec(line);
    if (found) return { type: 'oops', text: printable(found[1] ?? '') };
  }
  return undefined;
}

function printable(line: string): string {
  // Firmware and boot loaders write terminal sequences.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what has to go
  return line.replace(/\x1b(?:\[[0-9;?]*[A-Za-z]|c)|[\x00-\x08\x0b-\x1f\x7f]/g, '').trimEnd();
}
