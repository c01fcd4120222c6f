/**
 * Random code in guests of every mode, with one vCPU or two. Each payload has to end, by its deadline, in an exit, the
 * deadline or a typed error.
 *
 *     kvm-dsm run test/fuzz/guest-code.ts --on svm -- --seed 7 --count 200
 *
 * `--only M` runs the M-th payload alone, `--from M` begins with it. A kernel that crashes on one costs nothing in the
 * lab; on a host it takes the machine down, so that it refuses to run there without `--on-host`. `payloads.ts` runs
 * this in the lab, and goes on behind a payload that ends the machine.
 */
import { writeSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { outcomeOf, UNTYPED } from './outcome.ts';
import { planOf } from './plan.ts';
import { tableOf } from './totals.ts';

const { values: options } = parseArgs({
  options: {
    seed: { type: 'string' },
    count: { type: 'string', default: '100' },
    from: { type: 'string', default: '0' },
    only: { type: 'string' },
    /** How many of the programs start with RFLAGS.IF clear, from 0 to 1: Bochs cannot survive one that spins so. */
    'interrupts-off': { type: 'string' },
    /** Leaves the task register busy, which QEMU cannot survive. */
    'busy-tss': { type: 'boolean', default: false },
    'on-host': { type: 'boolean', default: false },
  },
});
const lane = process.env.KVM_DSM_LANE;
if (lane === undefined && !options['on-host']) {
  console.error('Random guest code can crash this machine: add --on svm, or give --on-host.');
  process.exit(2);
}

// Node.js would begin with a line of the bundle, which is longer than what is kept of the machine's words.
process.on('uncaughtException', (error: unknown) => {
  writeSync(2, `${error instanceof Error ? error.stack : String(error)}\n`);
  process.exit(1);
});

const seed = options.seed === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(options.seed);
const from = Number(options.only ?? options.from);
const end = options.only === undefined ? from + Number(options.count) : from + 1;
const interruptsOff = Number(options['interrupts-off'] ?? (lane === 'vmx' ? 0 : 0.3));
const busyTss = lane !== 'svm' || options['busy-tss'];

const totals = new Map<string, number>();
const began = performance.now();
for (let index = from; index < end; index++) {
  const plan = planOf(seed, index, interruptsOff);
  // Before it runs: if nothing comes after this line, it is what crashed or froze the machine.
  writeSync(1, `payload ${index} seed ${seed} ${JSON.stringify(plan)}\n`);
  const outcome = await outcomeOf(plan, busyTss);
  totals.set(outcome, (totals.get(outcome) ?? 0) + 1);
  writeSync(1, `outcome ${index} ${outcome}\n`);
}
const ms = Math.round(performance.now() - began);
writeSync(1, `${tableOf(totals)}\nseed ${seed}: ${end - from} payloads in ${ms} ms\n`);
if ([...totals.keys()].some((outcome) => outcome.startsWith(UNTYPED))) process.exitCode = 1;
