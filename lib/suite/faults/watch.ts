/** Which drawn faults of the lab's kernel a check could notice: whether their conditions have held. */
import { readFileSync, writeFileSync } from 'node:fs';
import { WATCH_PARAMETER } from './fault.ts';

/** Tells the kernel which faults to watch; `undefined`: leaves it as it is. */
export function watchFaults(specs: readonly string[] | undefined): void {
  if (!specs) return;
  for (const line of ['none', ...specs]) writeFileSync(WATCH_PARAMETER, `${line}\n`);
}

/** The numbers of those whose conditions have held since the last call; `undefined`: none are watched. */
export function metFaults(specs: readonly string[] | undefined): number[] | undefined {
  if (!specs) return undefined;
  const met = readRanges(readFileSync(WATCH_PARAMETER, 'latin1').trim());
  writeFileSync(WATCH_PARAMETER, 'reset\n');
  return met;
}

/** `0,3-5` as numbers. */
export function readRanges(text: string): number[] {
  if (text === '') return [];
  return text.split(',').flatMap((range) => {
    const [first, last = first] = range.split('-').map(Number) as [number, number?];
    return Array.from({ length: last! - first + 1 }, (_, i) => first + i);
  });
}
