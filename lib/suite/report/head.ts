import type { Facts } from '../run/facts.ts';
import type { Head, RowName } from '../run/reporter.ts';

/** A report's head as names and values, for the formats that have comments or properties. */
export function headLines({
  facts,
  variant,
  package: version,
  seed,
  repeat,
  shuffle,
  strict,
  thorough,
}: Head): [name: string, value: string][] {
  const parameters = Object.entries(facts.parameters).map(([name, value]) => `${name}=${value}`);
  return [
    ['kvm-dsm', version],
    ['on', facts.on],
    ...(variant ? [['variant', rowText(variant)] satisfies [string, string]] : []),
    ['kernel', `${facts.kernel} ${facts.build}`],
    ['config', facts.config ? `${facts.config.lines.join(' ')} (${facts.config.source})` : 'cannot be read'],
    ['cpu', `${facts.cpu}, ${facts.cpus} online`],
    ['parameters', parameters.length > 0 ? parameters.join(' ') : 'no kvm module shows any'],
    ['profile', facts.profile],
    ['device', facts.device],
    ['forwarding', `${facts.forwards ? 'ICR writes come out' : 'none'}; injection ioctls ${injectionText(facts)}`],
    [
      'seed',
      `${seed}${shuffle ? ', shuffled' : ''}${repeat > 1 ? `, ${repeat} rounds` : ''}${strict ? ', strict' : ''}${thorough ? ', thorough' : ''}`,
    ],
  ];
}

/** Which of the injection ioctls a kernel knows, in words. */
export function injectionText({ injects }: Facts): string {
  const known = Object.entries(injects).flatMap(([name, knows]) => (knows ? name : []));
  if (known.length === 0) return 'unknown';
  return known.length === Object.keys(injects).length ? 'known' : `known: ${known.join(', ')} alone`;
}

/** A row of a report, for a person. */
export function rowText({ name, cmdline }: RowName): string {
  return cmdline === '' ? name : `${name} (${cmdline})`;
}
