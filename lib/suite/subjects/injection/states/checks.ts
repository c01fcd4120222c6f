/** A replay does what the guest's own write does in every state of the table: all is compared, after every write. */
import { type Check, type Shortfall, table } from '../../../check.ts';
import { CheckError } from '../../../errors.ts';
import type { CheckContext } from '../../../kit/context.ts';
import { baseInjection, forwarding, ipiInjection, type Need, x2apic, x2apicInjection } from '../../../kit/needs.ts';
import type { TwinWrite } from '../../../kit/twin-writes.ts';
import { BASE_ADDRESS } from '../base-address.ts';
import { PATCH } from '../replay.ts';
import { Deck, ReplayDraw } from './drawn.ts';
import { StateDraw } from './drawn-states.ts';
import { inGuest } from './in-guest.ts';
import { type StandRow, standRows, vectorStand } from './machines.ts';
import { describeWrite, Pair } from './pair.ts';
import { bases, ipis, ipiVectors, type ReplayProgram, x2Ipis, x2Vectors } from './programs.ts';
import type { StandOptions } from './stand.ts';
import { plainScene, type StandScene, xapicScenes } from './states.ts';
import { drawTraits, withTraits } from './traits.ts';

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

/** States of a vCPU that is in its guest. */
const IN_GUEST_SCENES = 3;

/** With `--thorough` so many times as many drawn states. */
const THOROUGH_TIMES = 10;

/** Scenes that are written down, in the order of the table. In x2APIC mode the APIC id is the vcpu_id. */
const written = ({ scenes, bare }: StandRow, x2: boolean) => (bare && !x2 ? [...xapicScenes, ...scenes] : scenes);

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

type Maker = (pair: Pair) => ReplayProgram;

/** A scene, and the programs that are played in it one by one. */
interface Play {
  scene: StandScene;
  programs: readonly Maker[];
}

/** Plays scenes on one pair of VMs. Throws CheckError, with what differs after which write. */
function play(ctx: CheckContext, options: StandOptions, plays: readonly Play[], x2: boolean): void {
  const pair = new Pair(ctx, options);
  let writes = 0;
  // Without CPUID they come into x2APIC mode once: CPUID is not to be had any more when they have run.
  const once = x2 && options.cpuid === 'none';
  const tried = once ? [joined(plays)] : plays;
  for (const { scene, programs } of isSlow(ctx) ? some(ctx, tried, 1) : tried) {
    const name = scene.flatMap((state) => state.name || []).join(', ');
    for (const program of isSlow(ctx) ? some(ctx, programs, 1) : programs) {
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
  judgePair(pair);
}

/** Throws CheckError if something was wrong. */
function judgePair({ wrong }: Pair): void {
  if (wrong.length === 0) return;
  const more = wrong.length > MOST_TOLD ? [`and ${wrong.length - MOST_TOLD} more`] : [];
  throw new CheckError(
    [`after the replay, not as after the guest's write: ${wrong[0]}`, ...wrong.slice(1, MOST_TOLD), ...more].join('\n'),
  );
}

/** All programs in the first scene. */
function joined(plays: readonly Play[]): Play {
  const all = plays.flatMap(({ programs }) => programs);
  return { scene: plays[0]!.scene, programs: [(pair) => all.flatMap((program) => program(pair))] };
}

/** What a check of a VM's kind plays: the programs of the ioctl in states that are written down, and in drawn ones. */
function playsOf(ctx: CheckContext, ioctl: Ioctl, row: StandRow, options: StandOptions): Play[] {
  const draw = new ReplayDraw(ctx.random, ioctl.x2apic);
  const drawn: Maker[] = ioctl.draws ? [(pair) => draw.program(pair)] : [];
  const states = new StateDraw(ctx.random, ioctl.x2apic, options);
  const count = row.drawn * (ctx.thorough ? THOROUGH_TIMES : 1);
  // Each of both programs in half of the states.
  const both = new Deck(ctx.random, [ioctl.program, ...drawn]);
  return [
    ...written(row, ioctl.x2apic).map((scene) => ({ scene, programs: [both.next()] })),
    ...Array.from({ length: count }, (_, n) => ({
      scene: states.scene(n > 0 && n === count - 1),
      programs: ioctl.draws ? drawn : [ioctl.program],
    })),
  ];
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
    const some = machine.bare ? [] : drawTraits(ctx.random, machine.options);
    if (some.length > 0) ctx.log(`a VM with ${some.map(({ name }) => name).join(', ')}`);
    const options = withTraits(machine.options, some);
    play(ctx, options, playsOf(ctx, ioctl, machine, options), ioctl.x2apic);
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
      play(ctx, vectorStand, [{ scene: plainScene, programs: [(pair) => vectors!(pair, tried)] }], x2);
    },
  }),
);

const inGuestChecks: Check[] = table(
  ioctls.filter(({ draws }) => draws),
  ({ word, what, source, needs, x2apic: x2 }) => ({
    id: `injection.states.${word}.in-guest`,
    claim: `${what} of a vCPU that is in its guest leave all as the guest's own do, or are refused by EBUSY and leave all as it was`,
    source,
    needs,
    deadline: '60s' as const,
    async run(ctx: CheckContext) {
      const options: StandOptions = { ids: [0, 1, 2], source: 1 };
      const draw = new ReplayDraw(ctx.random, x2);
      const states = new StateDraw(ctx.random, x2, options);
      const pair = new Pair(ctx, options);
      for (let n = 0; n < (isSlow(ctx) ? 1 : IN_GUEST_SCENES); n++) {
        const scene = states.scene(false).filter(({ frozen }) => !frozen);
        const name = scene.flatMap((state) => state.name || []).join(', ');
        pair.bring(scene, x2);
        await inGuest(ctx, pair, name, draw.program(pair).flat());
      }
      judgePair(pair);
    },
  }),
);

export const stateChecks: Check[] = [...machineChecks, ...vectorChecks, ...inGuestChecks];
