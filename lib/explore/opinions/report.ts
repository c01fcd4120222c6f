/** What came of asking: a document, and its words for a person. */
import { isDeepStrictEqual } from 'node:util';
import { shellWord } from '../../base/shell.ts';
import { plural } from '../../base/text.ts';
import { describeOperation } from '../report.ts';
import { type Known, keyOf, type OpinionDifference, type OpinionName } from './compare.ts';
import type { OwnHistory, OwnOperation } from './guest.ts';
import { knownWays } from './known.ts';
import { scriptOfSmall } from './script.ts';
import type { Small } from './smaller.ts';

/** In words. */
export const titles: Record<OpinionName, string> = {
  model: 'the model',
  vmx: 'KVM-Intel',
  svm: 'KVM-AMD',
  qemu: 'QEMU',
  bochs: 'Bochs',
};

/** What `--json` prints. */
export interface OpinionsDocument {
  version: 1;
  seed: number;
  asked: readonly OpinionName[];
  /** Those of whom it was asked in vain in x2APIC mode. */
  withoutX2apic: readonly OpinionName[];
  histories: number;
  operations: number;
  ms: number;
  /** Of each kind that nothing is known of the first. */
  differences: {
    times: number;
    mode: OwnHistory['mode'];
    field: string;
    values: Partial<Record<OpinionName, string>>;
    verdict: string;
    operations: readonly OwnOperation[];
    /** What --replay takes. */
    replay: string;
    /** A script of the kit that fails where a KVM does not do what the model says; `null`: each KVM that was asked does. */
    script: string | null;
  }[];
  /** Those that it is known of that they have their own way. */
  known: (Pick<Known, 'name' | 'who' | 'does' | 'where' | 'section'> & {
    times: number;
    example: {
      operation: OwnOperation | null;
      field: string;
      values: Partial<Record<OpinionName, string>>;
      replay: string;
    };
  })[];
}

export function documentOf(of: {
  seed: number;
  names: readonly OpinionName[];
  withoutX2apic: readonly OpinionName[];
  histories: readonly OwnHistory[];
  differences: readonly OpinionDifference[];
  small: readonly Small[];
  ms: number;
}): OpinionsDocument {
  const { seed, names, withoutX2apic, histories, differences, small, ms } = of;
  const replayOf = ({ number }: OwnHistory) => `1v${seed}:${number}`;
  return {
    ...{ version: 1, seed, asked: names, withoutX2apic, histories: histories.length },
    operations: histories.reduce((sum, one) => sum + one.operations.length, 0),
    ms: Math.round(ms),
    differences: small.map(({ found, difference, history }) => ({
      times: differences.filter((one) => keyOf(one) === keyOf(found)).length,
      mode: difference.mode,
      field: difference.field,
      values: Object.fromEntries(difference.values),
      verdict: difference.verdict,
      operations: history.operations,
      replay: replayOf(history),
      script: scriptOfSmall(difference, history, replayOf(history)),
    })),
    known: knownWays.flatMap(({ name, who, does, where, section }) => {
      const all = differences.filter(({ known }) => known.some((one) => one.name === name));
      const [first] = all;
      if (!first) return [];
      const { operation, field, values } = first;
      const replay = replayOf(histories[first.history]!);
      const asked = who.filter((one) => names.includes(one));
      const example = { operation, field, values: Object.fromEntries(values), replay };
      return [{ name, who: asked, does, where, section, times: all.length, example }];
    }),
  };
}

/** `model 0x0, svm 0x0, qemu 0x2`, those that say the same together. */
function valuesText(values: Partial<Record<OpinionName, string>>): string {
  const sides = new Map<string, OpinionName[]>();
  for (const [name, value] of Object.entries(values) as [OpinionName, string][])
    sides.set(value, [...(sides.get(value) ?? []), name]);
  return [...sides].map(([value, names]) => `${names.map((name) => titles[name]).join(', ')}: ${value}`).join('; ');
}

const operationText = (operation: OwnOperation | null) =>
  operation === null ? 'behind the INIT' : describeOperation(operation).replace('vCPU 0: ', '').replace('host: ', '');

/** @param place what the command line says of the place */
export function textOf(document: OpinionsDocument, place: readonly string[]): string {
  const { seed, asked, withoutX2apic, differences, known, histories, operations, ms } = document;
  const lines = [
    `${asked.map((name) => titles[name]).join(', ')}: ${histories} ${histories === 1 ? 'history' : 'histories'}, ${plural(operations, 'operation')}, seed ${seed}, ${(ms / 1000).toFixed(1)} s`,
    ...withoutX2apic.map((name) => `${titles[name]} has no x2APIC mode, and no opinion of it`),
  ];
  if (known.length > 0) lines.push('', 'known, and no difference:');
  for (const { name, who, does, where, section, times, example } of known)
    lines.push(
      `  ${name} (${plural(times, 'time')}): ${who.map((one) => titles[one]).join(', ')}`,
      `    ${does} (SDM vol. 3, "${section}")`,
      `    ${where}`,
      `    ${operationText(example.operation)}, ${example.field}: ${valuesText(example.values)}`,
    );
  for (const { times, field, verdict, values, operations: done, replay, script } of differences)
    lines.push(
      '',
      `a difference (${plural(times, 'time')}): ${field}, ${verdict}`,
      `  ${valuesText(values)}`,
      ...done.map((operation, at) => `  ${at + 1}. ${operationText(operation)}`),
      ...(script === null ? [] : ['', 'as a script, for `kvm-dsm run`:', '', script.trimEnd()]),
      `again: ${[...againOf(asked), '--replay', replay, ...place].map(shellWord).join(' ')}`,
    );
  lines.push(
    '',
    differences.length === 0
      ? 'no difference'
      : plural(differences.length, 'difference').replace(/$/, ' that nothing is known of'),
  );
  return `${lines.join('\n')}\n`;
}

const all: readonly OpinionName[] = ['model', 'vmx', 'svm', 'qemu', 'bochs'];
const againOf = (asked: readonly OpinionName[]) => [
  ...['kvm-dsm', 'explore', '--opinions'],
  ...(isDeepStrictEqual(asked, all) ? [] : [asked.join(',')]),
];
