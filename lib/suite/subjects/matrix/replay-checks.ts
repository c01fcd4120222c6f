/** The checks of replays: every row that says what a vCPU or its LAPIC is like, and every VM, under each ioctl. */
import type { Check, Shortfall } from '../../check.ts';
import type { CheckContext } from '../../kit/context.ts';
import { baseInjection, ipiInjection, type Need, x2apic, x2apicInjection } from '../../kit/needs.ts';
import { Findings, shareOf } from './axis-checks.ts';
import { Bed, type BedOptions } from './bed.ts';
import { playReplay, type ReplayKind } from './replay.ts';
import { type Axis, type NamedStateRow, namedRows } from './row.ts';
import { Scene } from './scene.ts';
import { machineRows } from './tables/machines.ts';

/** Axes whose rows mean something to a vCPU that does not run. */
const AXES = ['svr', 'tpr', 'isr', 'irr', 'lvt', 'timer', 'previous', 'events', 'paravirt', 'mode', 'control'];
/** What else means something to an ioctl. In x2APIC mode logical ids follow from APIC ids, and the scene chooses what is sent. */
const MORE: Record<ReplayKind, readonly string[]> = {
  ipi: ['place', 'target', 'send', 'vector', 'logical'],
  x2apic: ['place', 'target', 'vector'],
  base: ['place', 'logical'],
};

const PATCH = 'patch 3/3, arch/x86/kvm/dsm.c';

interface Kind {
  kind: ReplayKind;
  ioctl: string;
  needs: readonly Need[];
  shortfall?: Shortfall;
}

/** GiantVM's main branch hands on the address of the value, which no vCPU takes. */
const ADDRESS: Shortfall = {
  profiles: ['gvm-main'],
  reason: 'KVM_DSM_APIC_BASE writes the address of the value to IA32_APIC_BASE, and no vCPU takes that',
  source: 'GiantVM/GVM-kernel, branch main, arch/x86/kvm/dsm.c: kvm_apic_set_base(vcpu, &msr_info.data, ...)',
  cause: /KVM_DSM_APIC_BASE/,
};

const kinds: readonly Kind[] = [
  { kind: 'ipi', ioctl: 'KVM_DSM_IPI', needs: [ipiInjection] },
  { kind: 'x2apic', ioctl: 'KVM_DSM_X2APIC', needs: [x2apicInjection, x2apic] },
  { kind: 'base', ioctl: 'KVM_DSM_APIC_BASE', needs: [baseInjection], shortfall: ADDRESS },
];

function replayRows(ctx: CheckContext, bed: Bed, rows: readonly NamedStateRow[], kind: ReplayKind) {
  const scene = new Scene(bed, ctx.random.integer(0x30, 0xef), ctx.random.integer(0, 0xff_ffff));
  for (const row of rows) row.apply(scene);
  return playReplay(ctx, scene, kind);
}

const named = (rows: readonly NamedStateRow[]) =>
  rows.map(({ axis, name }) => `${axis}.${name}`).join(' and ') || 'plain';

/** Nothing runs: a row is alone only for the sake of what is sent. */
const goTogether = (a: NamedStateRow, b: NamedStateRow) =>
  !(a.axis === 'send' && a.alone?.includes(b.axis)) &&
  !(b.axis === 'send' && b.alone?.includes(a.axis)) &&
  !(a.axis === 'target' && b.axis === 'send') &&
  !(a.axis === 'send' && b.axis === 'target');

/** Scenes in each of which most axes have a row, so many that each row has been in one. */
function together({ random }: CheckContext, axes: readonly Axis[]): NamedStateRow[][] {
  const left = axes.map((axis) => ({
    all: namedRows(axis).filter((row) => !row.needs?.length && !row.last),
    due: [] as NamedStateRow[],
  }));
  for (const one of left) one.due = random.shuffle(one.all);
  const scenes: NamedStateRow[][] = [];
  while (left.some(({ due }) => due.length > 0)) {
    const chosen: NamedStateRow[] = [];
    // What has most to come chooses first.
    for (const one of left.toSorted((a, b) => b.due.length - a.due.length)) {
      const row = one.due.at(-1) ?? random.pick(one.all);
      if (!chosen.every((other) => goTogether(row, other))) continue;
      if (one.due.length > 0) one.due.pop();
      chosen.push(row);
    }
    const order = axes.map(({ name }) => name);
    scenes.push(chosen.sort((a, b) => order.indexOf(a.axis) - order.indexOf(b.axis)));
  }
  return scenes;
}

/** The rows without which it would not be wrong any more. */
function fewest(ctx: CheckContext, bed: Bed, rows: readonly NamedStateRow[], kind: ReplayKind) {
  let left = rows;
  for (const row of rows) {
    const without = left.filter((other) => other !== row);
    if (replayRows(ctx, bed, without, kind).length > 0) left = without;
  }
  return left;
}

/** Of the scenes, how many are played with the split irqchip as well. */
const SPLIT_SHARE = 4;

function run(ctx: CheckContext, axes: readonly Axis[], kind: ReplayKind): void {
  const own = axes.filter(({ name }) => AXES.includes(name) || MORE[kind].includes(name));
  const scenes = together(ctx, own);
  const findings = new Findings();
  const play = (bed: Bed, what: string, rows: readonly NamedStateRow[]) => {
    const wrong = replayRows(ctx, bed, rows, kind);
    findings.add(`${named(wrong.length > 0 ? fewest(ctx, bed, rows, kind) : rows)}, ${what} irqchip`, wrong);
    return wrong.length === 0;
  };
  const full = new Bed(ctx);
  const split = new Bed(ctx, { irqchip: 'split' });
  const count = shareOf(ctx, scenes.length);
  const passed =
    scenes.slice(0, count).every((rows) => play(full, 'full', rows)) &&
    scenes.slice(0, Math.ceil(count / SPLIT_SHARE)).every((rows) => play(split, 'split', rows));
  if (!passed) findings.check();
}

/** The posted series takes a vCPU's index for its vcpu_id. */
const isPlain = ({ ids = [] }: BedOptions) => ids.every((id, at) => id === at);

/** vCPUs */
const MANY = 8;

function runMachines(ctx: CheckContext, axes: readonly Axis[]): void {
  const places = axes.filter(({ name }) => name === 'place').flatMap((axis) => namedRows(axis));
  const ends = places.filter(({ name }) => ['first-to-last', 'last-to-first'].includes(name));
  const findings = new Findings();
  // KVM has x2APIC mode for what CPUID says so.
  const machines = machineRows.filter(({ options }) => isPlain(options) && options.cpuid !== 'none' && !options.worn);
  for (const { name, options } of ctx.random.shuffle(machines).slice(0, shareOf(ctx, machines.length))) {
    const bed = new Bed(ctx, options);
    // Looking at each of many takes long.
    const scenes = [[], ...ends.map((row) => [row])].slice(bed.vcpus.length > MANY ? -1 : 0);
    for (const rows of scenes)
      for (const { kind } of kinds) findings.add(`vm.${name}, ${named(rows)}`, replayRows(ctx, bed, rows, kind));
  }
  findings.check();
}

export const replayChecks = (axes: readonly Axis[]): Check[] => [
  ...kinds.map(
    ({ kind, ioctl, needs, shortfall }): Check => ({
      id: `matrix.replay.${kind}`,
      claim: `${ioctl} does to all vCPUs what the guest's write does, and nothing else, whatever state they are in`,
      source: `${PATCH}: ${ioctl}`,
      deadline: '60s',
      needs,
      ...(shortfall && { shortfall }),
      run: (ctx) => run(ctx, axes, kind),
    }),
  ),
  {
    id: 'matrix.replay.machines',
    claim:
      "The injection ioctls do to all vCPUs what the guest's write does, and nothing else, whatever the VM is like",
    source: `${PATCH}: KVM_DSM_IPI, KVM_DSM_X2APIC, KVM_DSM_APIC_BASE`,
    deadline: '60s',
    needs: kinds.flatMap(({ needs }) => needs),
    shortfall: ADDRESS,
    run: (ctx) => runMachines(ctx, axes),
  },
];
