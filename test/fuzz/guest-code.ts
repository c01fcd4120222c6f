/**
 * Random bytes and random instructions as guest code. Each payload has to end, by its deadline, in an exit, the deadline
 * or a typed error.
 *
 *     kvm-dsm run test/fuzz/guest-code.ts --on svm -- --seed 7 --count 200
 *
 * `--only M` runs the M-th payload alone. A kernel that crashes on one costs nothing in the lab; on a host it takes the
 * machine down, so that it refuses to run there without `--on-host`.
 */
import { writeSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { flat32, KvmDsmError, machine } from 'kvm-dsm';
import { type Generator, payload } from './payload.ts';
import { Random } from './random.ts';

const { values: options } = parseArgs({
  options: {
    seed: { type: 'string' },
    count: { type: 'string', default: '100' },
    only: { type: 'string' },
    /** Starts with RFLAGS.IF clear as often as set: what Bochs cannot survive. */
    'interrupts-off': { type: 'boolean', default: false },
    'on-host': { type: 'boolean', default: false },
  },
});
if (process.env.KVM_DSM_LANE === undefined && !options['on-host']) {
  console.error('Random guest code can crash this machine: add --on svm, or give --on-host.');
  process.exit(2);
}

const seed = options.seed === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(options.seed);
const count = Number(options.count);
/** In ms, for each payload: most of them end at once. */
const DEADLINE = 100;
/** After so many exits a payload that goes on is good enough. */
const EXITS = 50;

const totals = new Map<string, number>();
const began = performance.now();
for (let index = 0; index < count; index++) {
  if (options.only !== undefined && Number(options.only) !== index) continue;
  // Each payload has a seed of its own, so that one alone is the same as one of many.
  const random = new Random(seed + index * 0x9e37);
  const generator: Generator = index % 2 === 0 ? 'bytes' : 'soup';
  const code = payload(random, generator);
  const interrupts = !options['interrupts-off'] || random.chance(0.5);
  // Before it runs: if nothing comes after this line, it is what crashed or froze the machine.
  writeSync(1, `payload ${index} seed ${seed} ${generator} ${Buffer.from(code).toString('hex')}\n`);
  const outcome = await outcomeOf(code, interrupts, random.pick(['full', 'split', 'none'] as const));
  totals.set(outcome, (totals.get(outcome) ?? 0) + 1);
  writeSync(1, `outcome ${index} ${outcome}\n`);
}
const ms = Math.round(performance.now() - began);
const sum = [...totals.values()].reduce((total, times) => total + times, 0);
const list = [...totals].sort(([, a], [, b]) => b - a).map(([outcome, times]) => `${outcome} ${times}`);
writeSync(1, `seed ${seed}: ${sum} payloads in ${ms} ms: ${list.join(', ')}\n`);

async function outcomeOf(code: Uint8Array, interrupts: boolean, irqchip: 'full' | 'split' | 'none'): Promise<string> {
  await using guest = await machine({ irqchip });
  guest.vcpu(0).program(flat32(code), { interrupts });
  try {
    const trace = await guest.run({ until: { exits: EXITS }, deadline: DEADLINE });
    return `exits ${[...trace].at(-1)?.exit.name}`;
  } catch (error) {
    if (!(error instanceof KvmDsmError)) throw error;
    const last = [...guest.trace].at(-1)?.exit.name;
    return last === undefined || error.code === 'ERR_DEADLINE' ? error.code : `${error.code} ${last}`;
  }
}
