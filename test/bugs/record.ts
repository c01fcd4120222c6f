/** What the explorer said of each historical bug, as a file, and the table that is made of it. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { cacheDir } from '../../lib/lab/paths.ts';
import { type HistoricalBug, historicalBugs } from './table.ts';

/** What became of one seed. */
export interface Tried {
  histories: number;
  /** Until it was found; `null`: not within the time. */
  msToFind: number | null;
  /** Of the smallest history. */
  operations: number;
  steady: boolean;
}

export interface BugsRecord {
  version: 1;
  on: string;
  /** Seconds that each seed had. */
  limit: number;
  /** By bug and seed. */
  bugs: Record<string, Record<string, Tried>>;
}

const fileOf = (lane: string) => join(cacheDir(), 'bugs', `${lane}.json`);

/** Adds to what is there with the same limit; returns where. */
export function saveBugs(record: BugsRecord): string {
  const before = loadBugs(record.on);
  const isSame = before?.limit === record.limit;
  const path = fileOf(record.on);
  mkdirSync(dirname(path), { recursive: true });
  const bugs = { ...(isSame ? before.bugs : {}) };
  for (const [name, seeds] of Object.entries(record.bugs)) bugs[name] = { ...bugs[name], ...seeds };
  writeFileSync(path, `${JSON.stringify({ ...record, bugs }, null, 1)}\n`);
  return path;
}

/** `null`: there is none. */
export function loadBugs(lane: string): BugsRecord | null {
  try {
    return JSON.parse(readFileSync(fileOf(lane), 'utf8')) as BugsRecord;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** The middle one; of an even number the lower of the two. */
export const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) / 2)]!;

export interface BugSummary {
  bug: HistoricalBug;
  seeds: number;
  found: number;
  /** Of all seeds; `Infinity` where more than half have not found it. */
  medianMs: number;
  /** Of all seeds: how many were tried until then, or within the time. */
  medianHistories: number;
  mostOperations: number;
}

/** Those that were tried, in the order of the table. */
export function summaries(record: BugsRecord): BugSummary[] {
  return historicalBugs.flatMap((bug) => {
    const tried = Object.values(record.bugs[bug.name] ?? {});
    if (tried.length === 0) return [];
    const found = tried.filter(({ msToFind }) => msToFind !== null);
    return {
      bug,
      seeds: tried.length,
      found: found.length,
      medianHistories: median(tried.map(({ histories }) => histories)),
      medianMs: median(tried.map(({ msToFind }) => msToFind ?? Number.POSITIVE_INFINITY)),
      mostOperations: Math.max(0, ...found.map(({ operations }) => operations)),
    };
  });
}

const seconds = (ms: number) => (Number.isFinite(ms) ? `${(ms / 1000).toFixed(1)} s` : 'not found');

const sources = { changelog: '', archive: '', memory: ' (the subject is from memory)' } as const;

/** As a table in Markdown. */
export function bugsTable(record: BugsRecord): string {
  return [
    '| bug | what the kernel does wrong | the commit that mended it | found by | median | histories | operations |',
    '|---|---|---|---|---|---|---|',
    ...summaries(record).map(({ bug, seeds, found, medianMs, medianHistories: histories, mostOperations }) => {
      const commit = `${bug.subject}, ${bug.mended}${sources[bug.from]}`;
      return `| \`${bug.name}\` | ${bug.what} | ${commit} | ${found} of ${seeds} | ${seconds(medianMs)} | ${histories} | ${mostOperations} |`;
    }),
    '',
  ].join('\n');
}
