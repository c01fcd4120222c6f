/** `--coverage <dir>`: which lines of KVM each check has reached, as files there. */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { coverageFolder, notedFiles, readOrigins } from '../../lab/kernel/coverage-notes.ts';
import type { OriginsByFile } from '../../lab/kernel/line-origins.ts';
import type { Executor, KernelTold } from '../../suite/run/protocol.ts';
import { CoverageError, CoverageFolderError } from './errors.ts';
import { linesOfCounters } from './gcov.ts';
import { CoverageRecord } from './record.ts';
import { checksText, seriesLines, summaryOf, summaryText, toldFiles, unreachedText } from './summary.ts';
import { tracefileOf, writePages } from './tracefile.ts';

export class CoverageFolder {
  /** Files of KVM's whose lines are counted, without their endings: what is told of, and what the series is in. */
  readonly counted: readonly string[];
  readonly #folder: string;
  readonly #notes: string;
  readonly #origins: OriginsByFile;
  readonly #place: string;
  readonly #record: CoverageRecord;
  readonly #waiting: { check: string; counters: NonNullable<KernelTold['counters']> }[] = [];

  /**
   * @param folder is made; what runs of the same kernel at other places have left there is added to
   * @param kernel the path of its image
   * @param place where the checks run, such as `svm`
   * @throws CoverageError if nothing is known of that kernel's lines; CoverageFolderError
   */
  constructor(folder: string, kernel: string, place: string) {
    this.#folder = folder;
    this.#place = place;
    this.#notes = coverageFolder(kernel);
    const noted = notedFiles(this.#notes);
    if (noted.length === 0)
      throw new CoverageError(`${kernel} is not of a build that keeps notes of its lines: there is no ${this.#notes}`);
    this.#origins = readOrigins(this.#notes);
    this.counted = noted.filter((file) => toldFiles.includes(file) || seriesLines(this.#origins, `${file}.c`).size > 0);
    const image = createHash('sha256').update(readFileSync(kernel)).digest('hex');
    try {
      mkdirSync(folder, { recursive: true });
    } catch (error) {
      throw new CoverageFolderError(folder, error as Error);
    }
    this.#record = CoverageRecord.at(this.#path('lines.json'), image, place);
  }

  /** The same, which keeps what the kernel counted. */
  around(executor: Executor): Executor {
    return (items, sink) =>
      executor(items, {
        ...sink,
        facts: (facts) => sink.facts(facts),
        start: (item, at) => sink.start(item, at),
        note: (text) => sink.note(text),
        outcome: (item, outcome, ms, exits, seen, at) => {
          if (seen?.counters) this.#waiting.push({ check: item.id, counters: seen.counters });
          return sink.outcome(item, outcome, ms, exits, seen, at);
        },
      });
  }

  /**
   * Reads what was counted and writes the files.
   *
   * @param onRead is told how many checks' counters have been read, and of how many
   * @returns a table for a person
   * @throws CoverageError; CoverageFolderError
   */
  async finish(onRead: (done: number, of: number) => void = () => {}): Promise<string> {
    // Readers end in any order; the checks are listed in the one that they ran in.
    for (const { check } of this.#waiting) this.#record.add(this.#place, check, new Map());
    const next = this.#waiting.values();
    let done = 0;
    const read = async () => {
      for (const { check, counters } of next) {
        this.#record.add(this.#place, check, await linesOfCounters(this.#notes, counters));
        onRead(++done, this.#waiting.length);
      }
    };
    await Promise.all(Array.from({ length: availableParallelism() }, read));
    const record = this.#record;
    const tracefile = this.#path('coverage.info');
    try {
      record.write(this.#path('lines.json'));
      writeFileSync(tracefile, tracefileOf(record, this.#notes));
      writeFileSync(this.#path('unreached.txt'), unreachedText(record, this.#origins));
      writeFileSync(this.#path('checks.txt'), checksText(record));
    } catch (error) {
      throw new CoverageFolderError(this.#folder, error as Error);
    }
    const pages = this.#path('html');
    const lack = writePages(tracefile, pages);
    return (
      summaryText(summaryOf(record, this.#origins), record.places) +
      (Object.keys(this.#origins).length === 0 ? 'what a series added to this tree is not known\n' : '') +
      `reached by no check: ${this.#path('unreached.txt')}\ncheck by check: ${this.#path('checks.txt')}\n` +
      (lack === null ? `pages: ${join(pages, 'index.html')}\n` : `no pages: ${lack}; ${tracefile} has what they show\n`)
    );
  }

  #path(name: string): string {
    return join(this.#folder, name);
  }
}
