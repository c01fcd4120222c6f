/** What came of exploring, for a person and as JSON. */
import type { Operation } from '../apic/model/operations.ts';
import { rules } from '../apic/model/rules.ts';
import { hex, plural } from '../base/text.ts';
import { describeDifference, describeRule } from './compare.ts';
import type { Explored } from './explore.ts';
import { scriptOf } from './script.ts';

const rate = ({ histories, ms }: Explored) => Math.round(histories / (ms / 1000));

/** An operation in a line. */
export function describeOperation(operation: Operation): string {
  const { do: what, ...rest } = operation;
  const on = 'on' in rest ? `vCPU ${rest.on}: ` : 'host: ';
  const values = Object.entries(rest)
    .filter(([name]) => name !== 'on')
    .map(([name, value]) => `${name} ${typeof value === 'number' ? hex(value) : value}`);
  return [on + what, ...values].join(' ');
}

export function textOf(explored: Explored, vcpus: number): string {
  const { found, histories, ms } = explored;
  const totals = `${histories} histor${histories === 1 ? 'y' : 'ies'} in ${(ms / 1000).toFixed(1)} s (${rate(explored)} a second)`;
  if (!found) return `no difference: ${totals}\n`;
  const { parting, replay, shrinks, msToFind } = found;
  const lines = [
    `a difference after ${totals}; found after ${(msToFind / 1000).toFixed(1)} s, made smaller ${plural(shrinks, 'time')}`,
    '',
    ...parting.differences.map((one) => `  ${describeDifference(one)}`),
    '',
    'the model:',
    ...[...new Set(parting.differences.map(({ rule }) => rule))].map((rule) => `  ${describeRule(rule)}`),
    '',
    `${plural(parting.operations.length, 'operation')}:`,
    ...parting.operations.map((operation, at) => `  ${at + 1}. ${describeOperation(operation)}`),
    '',
    'as a script (kvm-dsm run):',
    '',
    scriptOf(parting, vcpus, `${vcpus}v${replay}`),
    `again: kvm-dsm explore --replay ${vcpus}v${replay}`,
  ];
  return `${lines.join('\n')}\n`;
}

export function jsonOf(explored: Explored, seed: number, vcpus: number): object {
  const { found, histories, ms } = explored;
  const totals = { version: 1, seed, vcpus, histories, ms: Math.round(ms), perSecond: rate(explored) };
  if (!found) return { ...totals, difference: null };
  const { parting, replay, shrinks, msToFind } = found;
  return {
    ...totals,
    difference: {
      msToFind: Math.round(msToFind),
      shrinks,
      replay: `${vcpus}v${replay}`,
      fields: parting.differences.map((one) => ({ ...one, section: rules[one.rule].section })),
      operations: parting.operations,
      script: scriptOf(parting, vcpus, `${vcpus}v${replay}`),
    },
  };
}
