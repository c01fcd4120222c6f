/** What came of exploring: a document, and its words for a person. */
import type { Operation } from '../apic/model/operations.ts';
import { rules } from '../apic/model/rules.ts';
import { shellWord } from '../base/shell.ts';
import { hex, plural } from '../base/text.ts';
import { diagram } from '../picture/diagram.ts';
import { type Difference, describeDifference, describeRule } from './compare.ts';
import type { TriedHistories } from './explore.ts';
import { pictureOfParting } from './picture.ts';
import { scriptOf } from './script.ts';

/** How many histories there were so far. */
export interface ExploreTotals {
  histories: number;
  ms: number;
}

/** What `--json` prints. */
export interface ExploreDocument extends ExploreTotals {
  version: 1;
  on: string;
  kernel: string;
  seed: number;
  vcpus: number;
  /** Histories in a second. */
  perSecond: number;
  difference: {
    /** Until it was found; making it smaller comes on top. */
    msToFind: number;
    /** How often it was made smaller. */
    shrinks: number;
    /** What --replay takes. */
    replay: string;
    /** False: the smallest history did not show it when it was tried once more. */
    steady: boolean;
    fields: (Difference & { section: string })[];
    operations: Operation[];
    /** The same as a picture of text, 72 columns wide. */
    diagram: string[];
    /** A script of the kit that shows it. */
    script: string;
  } | null;
}

export const perSecond = ({ histories, ms }: ExploreTotals) => Math.round(histories / Math.max(ms / 1000, 0.001));

export function documentOf(
  { found, ...totals }: TriedHistories,
  head: Pick<ExploreDocument, 'on' | 'kernel' | 'seed' | 'vcpus'>,
): ExploreDocument {
  const { histories, ms } = totals;
  const counts = { histories, ms: Math.round(ms), perSecond: perSecond(totals) };
  const document = { version: 1, ...head, ...counts } as const;
  if (!found) return { ...document, difference: null };
  const { parting, shrinks, msToFind } = found;
  const replay = `${head.vcpus}v${found.replay}`;
  return {
    ...document,
    difference: {
      msToFind: Math.round(msToFind),
      shrinks,
      replay,
      steady: found.steady,
      fields: parting.differences.map((one) => ({ ...one, section: rules[one.rule].section })),
      operations: parting.operations,
      diagram: diagram(pictureOfParting(parting)),
      script: scriptOf(parting, head.vcpus, replay),
    },
  };
}

/** `1200 histories in 10.0 s (120 a second)`. */
export function describeTotals(totals: ExploreTotals): string {
  const { histories, ms } = totals;
  return `${histories} ${histories === 1 ? 'history' : 'histories'} in ${(ms / 1000).toFixed(1)} s (${perSecond(totals)} a second)`;
}

/** An operation in a line. */
export function describeOperation(operation: Operation): string {
  const { do: what, ...rest } = operation;
  const on = 'on' in rest ? `vCPU ${rest.on}: ` : 'host: ';
  const values = Object.entries(rest)
    .filter(([name]) => name !== 'on')
    .map(([name, value]) => `${name} ${typeof value === 'number' ? hex(value >>> 0) : value}`);
  return [on + what, ...values].join(' ');
}

/** @param place what the command line says of the place, beside the target */
export function textOf(document: ExploreDocument, place: readonly string[]): string {
  const { difference } = document;
  const totals = describeTotals(document);
  if (!difference) return `no difference: ${totals}\n`;
  const { fields, operations, replay, shrinks, msToFind, script, steady, diagram: picture } = difference;
  const found = `found after ${(msToFind / 1000).toFixed(1)} s, made smaller ${plural(shrinks, 'time')}`;
  const lines = [
    `a difference: ${totals}; ${found}`,
    ...(steady ? [] : ['it did not come when the smallest history was tried once more: something else takes part']),
    '',
    ...fields.map((one) => `  ${describeDifference(one)}`),
    '',
    'the rule of the model:',
    ...[...new Set(fields.map(({ rule }) => rule))].map((rule) => `  ${describeRule(rule)}`),
    '',
    `${plural(operations.length, 'operation')}:`,
    ...operations.map((operation, at) => `  ${at + 1}. ${describeOperation(operation)}`),
    '',
    ...picture,
    '',
    'as a script, for `kvm-dsm run`:',
    '',
    script,
    `again: ${['kvm-dsm', 'explore', '--replay', replay, '--on', document.on, ...place].map(shellWord).join(' ')}`,
  ];
  return `${lines.join('\n')}\n`;
}
