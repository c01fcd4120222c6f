import type { Head } from '../run/reporter.ts';

/** A report's head as names and values, for the formats that have comments or properties. */
export function headLines({
  facts,
  package: version,
  seed,
  repeat,
  shuffle,
  strict,
}: Head): [name: string, value: string][] {
  const parameters = Object.entries(facts.parameters).map(([name, value]) => `${name}=${value}`);
  return [
    ['kvm-dsm', version],
    ['on', facts.on],
    ['kernel', `${facts.kernel} ${facts.build}`],
    ['config', facts.config ? `${facts.config.lines.join(' ')} (${facts.config.source})` : 'cannot be read'],
    ['cpu', `${facts.cpu}, ${facts.cpus} online`],
    ['parameters', parameters.length > 0 ? parameters.join(' ') : 'no kvm module shows any'],
    ['profile', facts.profile],
    ['device', facts.device],
    [
      'forwarding',
      `${facts.forwards ? 'ICR writes come out' : 'none'}; injection ioctls ${facts.injects ? 'known' : 'unknown'}`,
    ],
    [
      'seed',
      `${seed}${shuffle ? ', shuffled' : ''}${repeat > 1 ? `, ${repeat} rounds` : ''}${strict ? ', strict' : ''}`,
    ],
  ];
}
