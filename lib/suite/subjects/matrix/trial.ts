/** One scene played: the sender writes, and each of the three claims is judged for each of its writes. */
import { lapicRegisters } from '../../../abi/apic/lapic.ts';
import { hex } from '../../../base/text.ts';
import type { CheckContext } from '../../kit/context.ts';
import type { VcpuState } from './bed.ts';
import { bring } from './begin.ts';
import { note, run } from './exits.ts';
import { Intruder } from './intruder.ts';
import { type ExpectedWrites, judgeExits, judgeStates, upTo, type Wrong } from './judge.ts';
import { CODE } from './layout.ts';
import { planOf } from './plan.ts';
import { apicOf, assemble } from './program.ts';
import { FEW, type Scene } from './scene.ts';

/** Plays a scene; what is wrong with it. */
export function play(ctx: CheckContext, scene: Scene): Wrong[] {
  try {
    return playPart(ctx, scene);
  } finally {
    for (const undo of scene.undo.splice(0).reverse()) undo();
  }
}

function playPart(ctx: CheckContext, scene: Scene): Wrong[] {
  const { bed, vcpu, mode, form, sender } = scene;
  if (form.onZero) scene.lapic({ ICR2: 0 });
  if (form.onOnes) scene.lapic({ ICR2: 0xffff_ffff, ICR: 0xffff_ffff });
  const { prelude, writes, sends } = planOf(scene);
  const place = scene.intruder;
  const intruder = place === null ? null : new Intruder(ctx, bed, place);
  const { code, behind } = assemble(scene, writes, prelude);
  bed.load(CODE, code);
  bring(scene);
  for (const ready of scene.ready) ready();
  const before = [...bed.now];
  const runs = bed.runs();
  const others = bed.vcpus.flatMap((_, at) => (at === sender ? [] : at));
  const read = (places: readonly number[]) => new Map(places.map((at) => [at, bed.read(at)] as const));
  const expected: ExpectedWrites = {
    vcpuId: vcpu.vcpuId,
    writes,
    sends,
    rips: form.repeats || scene.steps || scene.joint ? null : behind.map((offset) => BigInt(mode.rip + offset)),
    end: BigInt(mode.rip + code.length),
    icr2: bed.register(before[sender]!, 'ICR2'),
    intruder,
    apic: apicOf(scene),
    joint: scene.joint ? prelude : null,
  };

  const wrong: Wrong[] = [];
  /** Of the writes, how many have sent what is taken already. */
  let taken = 0;
  const judgeRuns = () => {
    for (const [at, bytes] of bed.runs().entries()) {
      if (at === sender || bytes.equals(runs[at]!)) continue;
      runs[at] = bytes;
      wrong.push({ register: 'both', claim: 'state', text: `kvm_run of vCPU ${bed.vcpus[at]!.vcpuId} changed` });
    }
  };
  const intrude = () => {
    if (!intruder) return;
    judgeRuns();
    intruder.write();
    runs[intruder.place] = bed.runs()[intruder.place]!;
  };
  /** Between the sender's writes, of which there have been so many. */
  const between = (made: number) => {
    if (made > writes.length || made - 1 === expected.joint) return;
    // Who has got something takes it now: what comes once more would be seen.
    if (scene.busy && bed.vcpus.length <= FEW && (scene.close || made === writes.length)) {
      const got = new Map(others.map((at) => [at, at === place ? bed.read(at) : bed.readSent(at)] as const));
      wrong.push(...judgeStates(scene, upTo(expected, made, taken), before, got));
      for (const at of others) bed.set(at, afterTaking(bed.now[at]!, before[at]!));
      taken = made;
    }
    if (made < prelude + 2 && made < writes.length) intrude();
  };
  intrude();
  const exits = run(ctx, scene, expected, before[sender]!, between);
  const { seen, strange } = exits;
  // What the last exit left to do is done without the guest; an exit that comes of it is one too many.
  if (vcpu.settle()) note(scene, vcpu.exit(ctx.profile), exits, null);

  const handled = bed.handled().filter((vector) => !scene.handles.has(vector));
  wrong.push(...judgeStates(scene, { ...expected, sends: sends.slice(taken) }, before, read(others)));
  judgeRuns();
  return [
    ...judgeExits(
      expected,
      seen,
      strange.filter(({ name }) => !scene.exits.has(name)),
      exits.skipped ? expected.joint : null,
    ),
    ...wrong,
    ...(intruder?.wrong ?? []),
    ...judgeStates(scene, expected, before, read([sender])),
    ...handled.map(
      (vector): Wrong => ({
        register: 'both',
        claim: 'state',
        text: `the sender handled vector ${hex(vector)}, which nothing brought`,
      }),
    ),
  ];
}

/** A vCPU that has taken what was sent to it: its IRR, TMR and events are as they were before. */
function afterTaking(now: VcpuState, before: VcpuState): VcpuState {
  const lapic = Buffer.from(now.lapic);
  before.lapic.copy(lapic, lapicRegisters.TMR0, lapicRegisters.TMR0, lapicRegisters.ESR);
  return { ...now, lapic, events: before.events };
}
