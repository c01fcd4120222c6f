/**
 * What the command is at and how far, on a line of standard error that is drawn over and over and is gone at the end: for a
 * person at a terminal. Elsewhere, in CI and with `--json` or `--quiet`, there is none.
 */
import { Writable } from 'node:stream';
import { whatIsDone } from './doing.ts';
import type { drawnLine } from './drawn-line.ts';
import { beforePrinting } from './output.ts';

/** Who wants none. */
export interface ProgressOptions {
  json?: boolean;
  quiet?: boolean;
}

const EVERY_MS = 200;
const frames = ['|', '/', '-', '\\'] as const;

type Line = ReturnType<typeof drawnLine>;

let line: Line | null = null;
let timer: NodeJS.Timeout | undefined;
/** So many want it. */
let users = 0;
let began = 0;
let turn = 0;
let detail = '';
/** What was printed last has come to its end: nothing stands on the line. */
let isFree = true;

/** True if there is somebody to show it to. */
export function showsProgress({ json = false, quiet = false }: ProgressOptions): boolean {
  return process.stderr.isTTY === true && !process.env.CI && process.env.TERM !== 'dumb' && !json && !quiet;
}

/** Shows it while work goes on. */
export async function withProgress<T>(options: ProgressOptions, work: () => Promise<T>): Promise<T> {
  if (!showsProgress(options)) return work();
  const drawn = await import('./drawn-line.ts');
  users += 1;
  if (users === 1) begin(drawn.drawnLine(process.stderr));
  try {
    return await work();
  } finally {
    users -= 1;
    if (users === 0) end();
  }
}

/** How far it is, behind what it is at. */
export function progress(words: string): void {
  detail = words;
}

/** Takes the line away, for what somebody writes to the terminal; it comes again a moment later. */
export function wipeProgress(): void {
  line?.clear();
}

/** A stream to standard error that takes the line away first. */
export function besideProgress(): Writable {
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      wipeProgress();
      if (line) isFree = chunk.at(-1) === 10;
      process.stderr.write(chunk, () => done());
    },
  });
}

function begin(drawn: Line): void {
  line = drawn;
  began = performance.now();
  isFree = true;
  beforePrinting((text) => {
    wipeProgress();
    // Half a line on the same terminal is not drawn over.
    if (process.stdout.isTTY) isFree = text.at(-1) === '\n' || text.at(-1) === 10;
  });
  timer = setInterval(draw, EVERY_MS);
  timer.unref();
}

function end(): void {
  clearInterval(timer);
  wipeProgress();
  line = null;
  detail = '';
  beforePrinting(null);
}

function draw(): void {
  if (!isFree) return;
  turn += 1;
  const seconds = Math.floor((performance.now() - began) / 1000);
  const words = `${frames[turn % frames.length]} ${whatIsDone()}${detail === '' ? '' : `: ${detail}`} (${seconds} s)`;
  line?.draw(words.slice(0, (process.stderr.columns || 80) - 1));
}
