/** What a question of the checklist is answered with, and from what. */
import { plural } from '../../base/text.ts';
import type { LaneName } from '../../lab/lanes/index.ts';
import type { TreeLook } from '../look/tree.ts';
import type { AddedLine } from '../series/diff.ts';
import type { Series } from '../series/series.ts';
import type { Judged, SuiteRun } from '../suite.ts';

/** `person`: a machine cannot say. */
export type RuleVerdict = 'kept' | 'broken' | 'not applicable' | 'person';

/** The answer to one question. */
export interface RuleAnswer {
  /** A rule's number in the tree's own list, or a name such as `uapi.layout`. */
  id: string;
  /** The rule in our words. */
  rule: string;
  /** What was looked at. */
  looked: string;
  /** What was seen there. */
  seen: string[];
  verdict: RuleVerdict;
  /** Shows it again; empty where there is nothing to run. */
  again: string;
}

/** What answers are made of. */
export interface Evidence {
  series: Series;
  added: readonly AddedLine[];
  /** The tree with the series, and without; null if it was not come to. */
  after: TreeLook | null;
  before: TreeLook | null;
  /** The suite on the kernel with the series. */
  runs: readonly SuiteRun[];
  /** The symbols that its Kconfig adds. */
  symbols: readonly string[];
  /** What it was applied to. */
  base: string;
  /** Hunks that did not stand where the patch says. */
  offsets: number;
  /** The profile has a way to ask for the exits. */
  optIn: boolean;
  /** Shows again what is seen without a boot. */
  again: string;
  /** Shows again what one check of the suite says; `null`: what the kernel is asked before any. */
  againOn(lane: LaneName, check: Judged | null): string;
}

export type Found = Pick<RuleAnswer, 'seen' | 'verdict'> & { worst?: LaneCheck | undefined };

/** A check of the suite, and the lane that it was judged on. */
export interface LaneCheck {
  lane: LaneName;
  /** `null`: what the kernel is asked before any. */
  check: Judged | null;
}

/** What was found, with what shows it again. */
export function answered(
  { again, againOn }: Evidence,
  question: Pick<RuleAnswer, 'id' | 'rule' | 'looked'>,
  { seen, verdict, worst }: Found,
): RuleAnswer {
  const shows = verdict !== 'broken' ? '' : worst ? againOn(worst.lane, worst.check) : again;
  return { ...question, seen, verdict, again: shows };
}

/** What the suite says of some checks, in all lanes together. */
export function suiteSays(
  { runs }: Evidence,
  ids: RegExp,
): { verdict: 'kept' | 'broken' | null; seen: string[]; worst: LaneCheck | undefined } {
  const found = runs.flatMap(({ lane, checks }) =>
    checks.filter(({ id, verdict }) => ids.test(id) && verdict !== 'skip').map((check) => ({ lane, check })),
  );
  const bad = found.filter(({ check }) => check.verdict === 'fail' || check.verdict === 'xfail');
  const words = bad.slice(0, 4).map(({ lane, check }) => `${check.id} on ${lane}: ${check.reason}`);
  if (found.length === 0) return { verdict: null, seen: [], worst: undefined };
  if (bad.length > 0) return { verdict: 'broken', seen: words, worst: bad[0]! };
  return {
    verdict: 'kept',
    seen: [`${plural(found.length, 'check')} of the suite passed (${ids.source.replaceAll('\\', '')})`],
    worst: undefined,
  };
}

/** Added lines of some files. */
export function addedIn({ added }: Evidence, path: RegExp): AddedLine[] {
  return added.filter((line) => path.test(line.path));
}

/** `include/uapi/linux/kvm.h:198: #ifdef CONFIG_X`, at most five of them. */
export function places(lines: readonly AddedLine[]): string[] {
  const shown = lines.slice(0, 5).map(({ path, line, text }) => `${path}:${line}: ${text.trim()}`);
  return lines.length > 5 ? [...shown, `and ${lines.length - 5} more`] : shown;
}

const loose =
  /^\s+(?:unsigned\s+|signed\s+)?(bool|int|long|short|char|size_t|u8|u16|u32|u64|s32|s64|enum \w+)\s+\*?\w+(\[.*\])?;/;

/** Added members of the headers for user space whose types are not of one size for all. An array of char is. */
export function looseTypes(evidence: Evidence): AddedLine[] {
  return addedIn(evidence, /(^|\/)uapi\//).filter(({ text }) => loose.test(text) && !/^\s+char \w+\[/.test(text));
}
