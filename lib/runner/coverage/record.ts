/** What is known of the lines that checks have reached, run by run: a file that later runs of the same kernel add to. */
import { readFileSync, writeFileSync } from 'node:fs';
import type { LineRange } from '../../lab/kernel/line-origins.ts';
import type { FileLines, SourceLines } from './gcov.ts';
import { linesOfRanges, rangesOfLines } from './line-set.ts';

/** By file, relative to the kernel's tree. */
export type RangesByFile = Readonly<Record<string, readonly LineRange[]>>;

/** The record as it is written. */
export interface CoverageFile {
  /** The hash of the kernel's image. */
  kernel: string;
  /** By file, its functions, '' for lines of none: where each begins, and its lines that have code. */
  functions: Record<string, Record<string, { line: number; code: LineRange[] }>>;
  /** By place, such as `svm`, and by check: the lines that it has run. */
  ran: Record<string, Record<string, RangesByFile>>;
}

/** How many checks have run each line of a file that has code. */
export interface FileCoverage {
  functions: ReadonlyMap<string, { line: number; code: readonly number[] }>;
  /** By line. */
  checks: ReadonlyMap<number, number>;
}

export class CoverageRecord {
  readonly #file: CoverageFile;

  constructor(kernel: string) {
    this.#file = { kernel, functions: {}, ran: {} };
  }

  /** That of a file, if it is there and of the same kernel: without what the place has reached, which is about to run again. */
  static at(path: string, kernel: string, place: string): CoverageRecord {
    const record = new CoverageRecord(kernel);
    const file = readRecord(path);
    if (file?.kernel !== kernel) return record;
    Object.assign(record.#file.functions, file.functions);
    for (const [name, checks] of Object.entries(file.ran)) if (name !== place) record.#file.ran[name] = checks;
    return record;
  }

  /** The places that something ran at. */
  get places(): string[] {
    return Object.keys(this.#file.ran).sort();
  }

  /** What a check has run, in another round or row as well. */
  add(place: string, check: string, lines: SourceLines): void {
    const checks = this.#file.ran[place] ?? {};
    this.#file.ran[place] = checks;
    const before = checks[check] ?? {};
    const now: Record<string, LineRange[]> = {};
    for (const [file, { ran, ...code }] of lines) {
      this.#learn(file, code);
      const all = new Set([...linesOfRanges(before[file] ?? []), ...ran]);
      if (all.size > 0) now[file] = rangesOfLines(all);
    }
    checks[check] = { ...before, ...now };
  }

  /** What code a file has: its notes are the same after each check. */
  #learn(file: string, { functions, code }: Pick<FileLines, 'functions' | 'code'>): void {
    if (this.#file.functions[file]) return;
    const lines = new Map<string, number[]>([...functions.keys()].map((name) => [name, []]));
    for (const [line, name] of code) lines.set(name, [...(lines.get(name) ?? []), line]);
    this.#file.functions[file] = Object.fromEntries(
      [...lines].map(([name, of]) => [name, { line: functions.get(name)?.line ?? of[0]!, code: rangesOfLines(of) }]),
    );
  }

  /** All of a file's lines that have code. */
  coverageOf(file: string): FileCoverage {
    const functions = new Map(
      Object.entries(this.#file.functions[file] ?? {}).map(([name, { line, code }]) => [
        name,
        { line, code: [...linesOfRanges(code)] },
      ]),
    );
    const checks = new Map<number, number>(
      [...functions.values()].flatMap(({ code }) => code.map((line) => [line, 0] as const)),
    );
    for (const ranges of this.#eachOf(file))
      for (const line of linesOfRanges(ranges)) checks.set(line, (checks.get(line) ?? 0) + 1);
    return { functions, checks };
  }

  /** The files that have code. */
  get files(): string[] {
    return Object.keys(this.#file.functions).sort();
  }

  /** By place and check: what it has run. */
  *each(): Generator<{ place: string; check: string; ran: RangesByFile }> {
    for (const [place, checks] of Object.entries(this.#file.ran))
      for (const [check, ran] of Object.entries(checks)) yield { place, check, ran };
  }

  write(path: string): void {
    writeFileSync(path, `${JSON.stringify(this.#file)}\n`);
  }

  *#eachOf(file: string): Generator<readonly LineRange[]> {
    for (const { ran } of this.each()) if (ran[file]) yield ran[file];
  }
}

function readRecord(path: string): CoverageFile | undefined {
  try {
    const file = JSON.parse(readFileSync(path, 'utf8')) as CoverageFile | null;
    return typeof file?.kernel === 'string' ? file : undefined;
  } catch {
    // There is none yet, or it is something else: it is made anew.
    return undefined;
  }
}
