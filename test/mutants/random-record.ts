/** What the suite said of drawn faults, as a file and for a person. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { cacheDir } from '../../lib/lab/paths.ts';
import { describe, readSpec } from '../../lib/suite/faults/drawn/spec.ts';
import { placeName, type Seen, type Verdicts } from './record.ts';

/** What became of one drawn fault. */
export interface Tried {
  /** The checks in which its condition held. */
  could: string[];
  /** The check that noticed it, and what that said. */
  by: (Seen & { check: string }) | null;
  /** How many checks ran under it. */
  tried: number;
  /** The check that noticed it says something else without it, too. */
  unsure: boolean;
}

export interface RandomRecord {
  version: 1;
  /** The lane. */
  on: string;
  profile: string;
  kernel: string;
  seed: number;
  /** Without a fault. */
  baseline: Verdicts;
  /** By spec. */
  faults: Record<string, Tried>;
}

export const randomFile = ({ on, profile, seed }: Pick<RandomRecord, 'on' | 'profile' | 'seed'>) =>
  join(cacheDir(), 'mutants', `random-${placeName(on, profile)}-${seed}.json`);

/** Writes it, and returns where. */
export function saveRandom(record: RandomRecord): string {
  const path = randomFile(record);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${JSON.stringify(record, null, 1)}\n`);
  return path;
}

/** How many faults have been noticed, of how many. */
export function shareOf({ faults }: RandomRecord): { noticed: number; of: number } {
  const all = Object.values(faults);
  return { noticed: all.filter(({ by, unsure }) => by !== null && !unsure).length, of: all.length };
}

/** For a person: the share, and each fault that nothing noticed, in words. */
export function randomTable(record: RandomRecord): string {
  const { noticed, of } = shareOf(record);
  const missed = Object.entries(record.faults).filter(([, { by, unsure }]) => by === null || unsure);
  const lines = missed.map(
    ([spec, tried]) => `not noticed: ${describe(readSpec(spec))}\n  ${spec}: ${whyMissed(tried)}\n`,
  );
  return `${lines.join('')}${noticed} of ${of} faults noticed (${((100 * noticed) / of).toFixed(1)} %), seed ${record.seed}, on ${record.on}, ${record.profile}, ${record.kernel}\n`;
}

function whyMissed({ could, by, tried }: Tried): string {
  if (by) return `${by.check} fails without it, too`;
  if (could.length === 0) return 'its condition holds in no check';
  const more = could.length > 3 ? ', ...' : '';
  return `its condition holds in ${could.length} checks, of which ${tried} ran: ${could.slice(0, 3).join(', ')}${more}`;
}
