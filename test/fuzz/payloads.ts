/**
 * Random guest code in the lab, as much as is wanted: a payload that ends the emulated machine is kept as a finding, and
 * the rest goes on in a new one.
 *
 *     node --import tsx test/fuzz/payloads.ts --on svm --seed 7 --count 10000
 *
 * Ends with 0 if each payload had a typed outcome or ended the machine by a fault of the emulator's.
 */
import { parseArgs } from 'node:util';
import type { LaneName } from '../../lib/lab/index.ts';
import { describeFinding, isEmulators, payloadsInLab } from './in-lab.ts';
import { UNTYPED } from './outcome.ts';
import { tableOf } from './totals.ts';

const { values: options } = parseArgs({
  options: {
    on: { type: 'string', default: 'svm' },
    seed: { type: 'string' },
    count: { type: 'string', default: '100' },
    from: { type: 'string', default: '0' },
    'interrupts-off': { type: 'string' },
    'busy-tss': { type: 'boolean', default: false },
    emulator: { type: 'string' },
    /** Shows each payload and outcome. */
    log: { type: 'boolean', default: false },
  },
});
if (options.on !== 'svm' && options.on !== 'vmx') {
  console.error('Random guest code runs in the lab: --on svm or --on vmx.');
  process.exit(2);
}
const lane: LaneName = options.on;
const seed = options.seed === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(options.seed);
const began = performance.now();
const { outcomes, findings, boots } = await payloadsInLab({
  lane,
  seed,
  count: Number(options.count),
  from: Number(options.from),
  args: [
    ...(options['interrupts-off'] === undefined ? [] : ['--interrupts-off', options['interrupts-off']]),
    ...(options['busy-tss'] ? ['--busy-tss'] : []),
  ],
  ...(options.emulator === undefined ? {} : { emulator: options.emulator }),
  ...(options.log ? { onLine: (line: string) => console.log(line) } : {}),
});
const seconds = Math.round((performance.now() - began) / 1000);
const ends = new Map<string, number>();
for (const finding of findings) {
  const name = `${finding.code}${isEmulators(lane, finding) ? ' (the emulator)' : ''}`;
  ends.set(name, (ends.get(name) ?? 0) + 1);
}
const all = [...outcomes.values(), ...ends.values()].reduce((sum, times) => sum + times, 0);
console.log(tableOf(new Map([...outcomes, ...ends])));
for (const finding of findings) console.log(describeFinding(seed, finding));
const bad =
  findings.filter((finding) => !isEmulators(lane, finding)).length +
  [...outcomes].reduce((sum, [outcome, times]) => sum + (outcome.startsWith(UNTYPED) ? times : 0), 0);
console.log(
  `${lane}, seed ${seed}: ${all} payloads in ${seconds} s and ${boots} boots; ` +
    `${findings.length} ended the machine, ${bad} without a typed outcome`,
);
process.exitCode = bad > 0 ? 1 : 0;
