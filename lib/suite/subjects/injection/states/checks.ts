/** A replay does what the guest's own write does in every state of the table: all is compared, after every write. */
import { type Check, type Shortfall, table } from '../../../check.ts';
import { CheckError } from '../../../errors.ts';
import type { CheckContext } from '../../../kit/context.ts';
import { baseInjection, forwarding, ipiInjection, type Need, x2apic, x2apicInjection } from '../../../kit/needs.ts';
import type { TwinWrite } from '../../../kit/twin-writes.ts';
import { BASE_ADDRESS } from '../base-address.ts';
import { PATCH } from '../replay.ts';
import { ReplayDraw } from './drawn.ts';
import { type StandRow, standRows, vectorStand } from './machines.ts';
import { describeWrite, Pair } from './pair.ts';
import { bases, ipis, ipiVectors, type ReplayProgram, x2Ipis, x2Vectors } from './programs.ts';
import type { StandOptions } from './stand.ts';
import { scenes as lapicScenes, plainScene, type StandScene, xapicScenes } from './states.ts';

interface Ioctl {
  word: string;
  what: string;
  source: string;
  needs: readonly Need[];
  x2apic: boolean;
  program(pair: Pair): ReplayProgram;
  /** It replays IPIs: the seed draws others. */
  draws?: boolean;
  /** An IPI of each of these vectors. */
  vectors?(pair: Pair, vectors: readonly number[]): ReplayProgram;
  shortfall?: Shortfall;
}

const ioctls: readonly Ioctl[] = [
  {
    word: 'ipi',
    what: 'Replayed ICR2 and ICR writes',
    source: `${PATCH}: KVM_DSM_IPI; SDM vol. 3 11.6.1`,
    needs: [ipiInjection, forwarding],
    x2apic: false,
    program: ipis,
    draws: true,
    vectors: ipiVectors,
  },
  {
    word: 'x2',
    what: 'Replayed x2APIC ICR writes',
    source: `${PATCH}: KVM_DSM_X2APIC; SDM vol. 3 11.12.9`,
    needs: [x2apicInjection, x2apic],
    x2apic: true,
    program: x2Ipis,
    draws: true,
    vectors: x2Vectors,
  },
  {
    word: 'base',
    what: 'Replayed writes of IA32_APIC_BASE',
    source: `${PATCH}: KVM_DSM_APIC_BASE; SDM vol. 3 11.4.4`,
    needs: [baseInjection, x2apic],
    x2apic: false,
    program: bases,
    shortfall: BASE_ADDRESS,
  },
];

const MOST_TOLD = 8;

/** In x2APIC mode the APIC id is the vcpu_id. Where there are few, the seed adds one. */
function scenesOf(ctx: CheckContext, { scenes }: StandRow, { x2apic: x2 }: Ioctl): readonly StandScene[] {
  if (scenes.length > lapicScenes.length) return x2 ? scenes : [...xapicScenes, ...scenes];
  return [...scenes, ctx.random.pick(lapicScenes.filter((scene) => !scenes.includes(scene)))];
}

/** Bochs takes a tenth of a second for a write. */
const isSlow = ({ facts, thorough }: CheckContext) => facts.on === 'vmx' && !thorough;
const SLOW_SHARE = 3;

/** In their order. */
function some<T>(ctx: CheckContext, all: readonly T[], count: number): readonly T[] {
  const chosen = new Set(ctx.random.shuffle(all).slice(0, count));
  return all.filter((one) => chosen.has(one));
}

/** An ICR write goes where the ICR2 write before it says; a guest may write IA32_APIC_BASE only in the order of its program. */
function share(ctx: CheckContext, group: readonly TwinWrite[]): readonly TwinWrite[] {
  if (!isSlow(ctx) || group.some(({ register }) => register === 'base')) return group;
  const length = group[0]!.register === 'ICR2' ? 2 : 1;
  const steps = Array.from({ length: group.length / length }, (_, n) => group.slice(n * length, (n + 1) * length));
  return some(ctx, steps, Math.ceil(steps.length / SLOW_SHARE)).flat();
}

/** Plays each scene on one pair of VMs. Throws CheckError, with what differs after which write. */
function play(
  ctx: CheckContext,
  options: StandOptions,
  scenes: readonly StandScene[],
  x2: boolean,
  programs: readonly ((pair: Pair) => ReplayProgram)[],
): void {
  const pair = new Pair(ctx, options);
  let writes = 0;
  // Without CPUID they come into x2APIC mode once: CPUID is not to be had any more when they have run.
  const once = x2 && options.cpuid === 'none';
  const tried = once ? scenes.slice(0, 1) : scenes;
  const plans = once ? [(pair: Pair) => programs.flatMap((program) => program(pair))] : programs;
  for (const scene of isSlow(ctx) ? some(ctx, tried, 1) : tried) {
    const name = scene.map((state) => state.name).join(', ');
    for (const program of isSlow(ctx) ? some(ctx, plans, 1) : plans) {
      pair.bring(scene, x2);
      for (const whole of program(pair)) {
        const group = share(ctx, whole);
        for (const write of group) pair.write(`${name}: ${describeWrite(write)}`, write);
        writes += group.length;
        pair.lookAround(`${name}: after ${describeWrite(group.at(-1)!)}`);
      }
      pair.end(`${name}: at the end`);
    }
  }
  ctx.effect('replayed writes', writes);
  const { wrong } = pair;
  if (wrong.length === 0) return;
  const more = wrong.length > MOST_TOLD ? [`and ${wrong.length - MOST_TOLD} more`] : [];
  throw new CheckError(
    [`after the replay, not as after the guest's write: ${wrong[0]}`, ...wrong.slice(1, MOST_TOLD), ...more].join('\n'),
  );
}

const rows = ioctls.flatMap((ioctl) => standRows.map((machine) => ({ ioctl, machine })));

const machineChecks: Check[] = table(rows, ({ ioctl, machine }) => ({
  id: `injection.states.${ioctl.word}.${machine.word}`,
  claim: `${ioctl.what} leave all that KVM tells of every vCPU as a guest's own do, and are answered 0: ${machine.what}`,
  source: ioctl.source,
  needs: ioctl.needs,
  deadline: '60s' as const,
  ...(ioctl.shortfall && { shortfall: ioctl.shortfall }),
  async run(ctx: CheckContext) {
    const draw = new ReplayDraw(ctx.random, ioctl.x2apic);
    const drawn = ioctl.draws ? [(pair: Pair) => draw.program(pair)] : [];
    play(ctx, machine.options, scenesOf(ctx, machine, ioctl), ioctl.x2apic, [ioctl.program, ...drawn]);
  },
}));

/** So many of the 256 where a write takes long. */
const SLOW_VECTORS = 32;

const vectorChecks: Check[] = table(
  ioctls.filter(({ vectors }) => vectors),
  ({ word, what, source, needs, x2apic: x2, vectors }) => ({
    id: `injection.states.${word}.vectors`,
    claim: `${what} leave all that KVM tells of every vCPU as a guest's own do, and are answered 0: each vector`,
    source,
    needs,
    deadline: '60s' as const,
    async run(ctx: CheckContext) {
      const all = ctx.random.shuffle(Array.from({ length: 256 }, (_, vector) => vector));
      const tried = isSlow(ctx) ? all.slice(0, SLOW_VECTORS) : all;
      play(ctx, vectorStand.options, [plainScene], x2, [(pair) => vectors!(pair, tried)]);
    },
  }),
);

export const stateChecks: Check[] = [...machineChecks, ...vectorChecks];
