/** Which checks run, in which order. */
import { Random } from '../../script/random.ts';
import { type Check, checksById, type Subject, subjectOf } from '../check.ts';
import type { Item } from './protocol.ts';

export interface PlanOptions {
  /** Parts of ids, or globs of whole ones; none: all. */
  patterns: readonly string[];
  repeat: number;
  shuffle: boolean;
  seed: number;
  /** Each check tries as much as it can. */
  thorough?: boolean;
}

/** Which checks run, in which order. */
export function planOf(subjects: readonly Subject[], options: PlanOptions): Item[] {
  const ids = select([...checksById(subjects).keys()], options.patterns);
  const random = new Random(options.seed);
  const rounds = Array.from({ length: options.repeat }, (_, i) => i + 1);
  return rounds
    .flatMap((round) => (options.shuffle ? random.shuffle(ids) : ids).map((id) => ({ id, round })))
    .map(({ id, round }, n) => ({ n, id, round, ...(options.thorough ? { thorough: true } : {}) }));
}

/** The ids that some pattern means. One with * or ? has to fit the whole id, another one to be a part of it. */
export function select(ids: readonly string[], patterns: readonly string[]): string[] {
  if (patterns.length === 0) return [...ids];
  const tests = patterns.map((pattern) => {
    if (!/[*?]/.test(pattern)) return (id: string) => id.includes(pattern);
    return (id: string) => fits(id, pattern);
  });
  return ids.filter((id) => tests.some((test) => test(id)));
}

/** Whether a glob, or an id, means the whole of an id. */
export function fits(id: string, glob: string): boolean {
  const source = glob
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`).test(id);
}

/** How an item is called in a report. */
export function nameOf({ id, round }: Item, repeat: number): string {
  return repeat > 1 ? `${id} (${round} of ${repeat})` : id;
}

/** The items by subject, both in the order of the plan. */
export function bySubject(items: readonly Item[]): Map<string, Item[]> {
  const groups = new Map<string, Item[]>();
  for (const item of items) {
    const name = subjectOf(item.id);
    const group = groups.get(name);
    if (group) group.push(item);
    else groups.set(name, [item]);
  }
  return groups;
}

/** The check of an item. */
export function checkOf(checks: ReadonlyMap<string, Check>, item: Item): Check {
  const check = checks.get(item.id);
  if (!check) throw new Error(`the plan names ${item.id}, which is no check`);
  return check;
}
