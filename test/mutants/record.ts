/** What the suite said of each fault, as a file: what the table and the questions about single checks are made from. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { defaultProfile } from '../../lib/abi/dsm/profiles.ts';
import { cacheDir } from '../../lib/lab/paths.ts';
import type { Result } from '../../lib/suite/run/judge.ts';

/** What became of a check. */
export type Seen = Pick<Result, 'verdict' | 'cause' | 'reason' | 'ms'>;

/** By check. One that is not there did not run: the machine had died under the same fault. */
export type Verdicts = Record<string, Seen>;

export interface MutantRecord {
  version: 1;
  /** The lane. */
  on: string;
  profile: string;
  kernel: string;
  /** This package's version. */
  package: string;
  seed: number;
  /** Without a fault. */
  baseline: Verdicts;
  /** By fault. */
  faults: Record<string, Verdicts>;
  /** By fault: the check that took the machine down, so that the others did not run. */
  wedged: Record<string, string>;
}

export const recordFile = (lane: string, profile: string) =>
  join(cacheDir(), 'mutants', `${placeName(lane, profile)}.json`);

/** What the files of a lane's records begin with. */
export const placeName = (lane: string, profile: string) =>
  profile === defaultProfile.name ? lane : `${lane}-${profile}`;

/** Writes it, and returns where. */
export function saveRecord(record: MutantRecord): string {
  const path = recordFile(record.on, record.profile);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${JSON.stringify(record, null, 1)}\n`);
  return path;
}

/** What the last run on a lane recorded, with a profile's numbers; `null` if there was none. */
export function loadRecord(lane: string, profile: string): MutantRecord | null {
  try {
    return JSON.parse(readFileSync(recordFile(lane, profile), 'utf8')) as MutantRecord;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/**
 * What was recorded before with what a run has found out since: of a check under a fault, the later verdict. Of another
 * kernel, or with another seed, nothing is kept.
 */
export function added(before: MutantRecord | null, run: MutantRecord): MutantRecord {
  const fits = before?.kernel === run.kernel && before.seed === run.seed;
  const faults = { ...(fits ? before.faults : {}) };
  const wedged = { ...(fits ? before.wedged : {}) };
  for (const [name, verdicts] of Object.entries(run.faults)) {
    if (Object.keys(verdicts).length === 0) continue;
    faults[name] = { ...faults[name], ...verdicts };
    delete wedged[name];
  }
  return {
    ...run,
    baseline: { ...(fits ? before.baseline : {}), ...run.baseline },
    faults,
    wedged: { ...wedged, ...run.wedged },
  };
}
