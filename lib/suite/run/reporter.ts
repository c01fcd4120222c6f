/** What a reporter hears of a run. */
import { plural } from '../../base/text.ts';
import type { Check } from '../check.ts';
import type { Facts } from './facts.ts';
import type { Result, Totals } from './judge.ts';
import type { Item } from './protocol.ts';

/** The row of a report that has several: the lab's kernel was told something beside what it always is. */
export interface RowName {
  name: string;
  /** What it was told; may be empty. */
  cmdline: string;
}

/** What a report begins with. */
export interface Head {
  facts: Facts;
  /** Of a report with several rows: which one this is. */
  variant?: RowName;
  /** This package's version. */
  package: string;
  seed: number;
  repeat: number;
  shuffle: boolean;
  strict: boolean;
  /** Default false. */
  thorough?: boolean;
  /** What a command line needs beside all this to run a check once more in the same place, as a shell takes it. */
  place?: string;
  items: readonly Item[];
  checks: ReadonlyMap<string, Check>;
}

/** One check, and what became of it. */
export interface CheckRow {
  item: Item;
  result: Result;
  /** When it began; of one whose turn did not come, when the run ended. */
  began: Date;
}

/** A run that was ended from outside. */
export interface Interrupted {
  /** By what, and what it was at. */
  why: string;
  /** How many checks have no result. */
  notRun: number;
}

/** The same in words: one line. */
export function interruptedText({ why, notRun }: Interrupted, results: number): string {
  return `${why}: ${results} of ${plural(results + notRun, 'check')} had a result`;
}

/** What a report ends with. */
export interface Summary {
  totals: Totals;
  /** By the clock of the calendar, as the one of each result. */
  began: Date;
  /** Milliseconds by the clock on the wall, from the beginning. */
  ms: { all: number; untilFirstCheck: number; inChecks: number };
  /** The checks that took longest by that clock, the slowest first. */
  slowest: { item: Item; ms: number }[];
  /** A signal ended the run, of which the results are what there was until then; `null`: none did. */
  interrupted: Interrupted | null;
  /** What ended the run in a way that no verdict tells; `undefined` if nothing did. */
  error: unknown;
  /** In the order of the plan. */
  results: CheckRow[];
}

/** Writes a report while a run goes on. */
export interface Reporter {
  head(head: Head): void;
  start(item: Item): void;
  end(item: Item, result: Result): void;
  /** A person should know. */
  note(text: string): void;
  /** Once a second while a check runs. */
  tick(item: Item, seconds: number): void;
  done(summary: Summary): void;
}

/** Writes one report of several runs, one after the other: a row each. */
export interface RowsReporter {
  /** The reporter of the next row. */
  row(name: RowName): Reporter;
  /** All rows have ended. */
  done(summaries: readonly Summary[]): void;
}
