/** Replays on a vCPU of any state: the injection ioctls, each judged by all that KVM tells of every vCPU. */
import { lapicRegisters } from '../../../abi/apic/lapic.ts';
import { APIC_BASE_ENABLE, APIC_BASE_EXTD, IA32_APIC_BASE } from '../../../abi/apic/msr.ts';
import { kvmRegs, kvmSregs } from '../../../abi/kvm/index.ts';
import { hex } from '../../../base/text.ts';
import type { CheckContext } from '../../kit/context.ts';
import { icr, icr2, type LapicWrite } from '../../kit/guests.ts';
import type { VcpuState } from './bed.ts';
import { judgeStates, type Wrong } from './judge.ts';
import type { Scene } from './scene.ts';
import { bring } from './trial.ts';

export type ReplayKind = 'ipi' | 'x2apic' | 'base';

/** Plays a scene's writes as replays; what is wrong with what they leave. */
export function playReplay(ctx: CheckContext, scene: Scene, kind: ReplayKind): Wrong[] {
  try {
    bring(scene);
    for (const ready of scene.ready) ready();
    return { ipi, x2apic, base }[kind](ctx, scene);
  } finally {
    for (const undo of scene.undo.splice(0).reverse()) undo();
  }
}

/** What a step leaves of all vCPUs, beside what it is to do. */
function step(
  scene: Scene,
  name: string,
  writes: readonly LapicWrite[],
  act: () => string,
  wanted: (sender: VcpuState) => void = () => undefined,
): Wrong[] {
  const { bed, sender } = scene;
  const before = bed.now.map((state) => ({ ...state }));
  const runs = bed.runs();
  const answer = act();
  const after = bed.vcpus.map((_, place) => bed.read(place));
  const own = before[sender]!;
  wanted(own);
  const expected = {
    vcpuId: scene.vcpu.vcpuId,
    writes,
    rips: null,
    end: kvmRegs.decode(own.regs).rip,
    icr2: bed.register(own, 'ICR2'),
    entered: false,
  };
  const wrong = judgeStates(scene, expected, before, after);
  if (answer !== '0') wrong.push({ register: 'both', claim: 'once', text: `it answers ${answer}` });
  for (const [place, bytes] of bed.runs().entries())
    if (!bytes.equals(runs[place]!))
      wrong.push({ register: 'both', claim: 'state', text: `kvm_run of vCPU ${bed.vcpus[place]!.vcpuId} changed` });
  return wrong.map((one) => ({ ...one, text: `${name}: ${one.text}` }));
}

function ipi(ctx: CheckContext, scene: Scene): Wrong[] {
  const { bed, vcpu, sent } = scene;
  const { request, argument } = ctx.profile.ioctls.KVM_DSM_IPI;
  const destination = ((sent.destination << 24) | scene.noise) >>> 0;
  const replay = ({ register, value }: LapicWrite) =>
    ctx.answer('KVM_DSM_IPI', () =>
      bed.vm.ioctlRaw(
        request,
        argument.encode({
          vcpuId: vcpu.vcpuId,
          val: lapicRegisters[register],
          val2: value,
          destId: destination >>> 24,
        }),
      ),
    );
  return [icr2(destination), icr((sent.icr | scene.vector) >>> 0)].flatMap((write) =>
    step(scene, `KVM_DSM_IPI with ${write.register}`, [write], () => replay(write)),
  );
}

/** Brings the sender into a mode of its LAPIC, as user space may. */
function setBase(scene: Scene, change: (apicBase: bigint) => bigint): void {
  const { bed, sender } = scene;
  const state = bed.now[sender]!;
  const sregs = bed.sregs(state);
  bed.set(sender, { ...state, sregs: Buffer.from(kvmSregs.encode({ ...sregs, apicBase: change(sregs.apicBase) })) });
}

const SELF = 1n << 18n;
/** The upper half of the 64-bit ICR, where a CPU keeps it in one piece: nobody is told of it. */
const ICR_HIGH = 0x304;

function x2apic(ctx: CheckContext, scene: Scene): Wrong[] {
  const { bed, vcpu, sender, target } = scene;
  const { request, argument } = ctx.profile.ioctls.KVM_DSM_X2APIC;
  setBase(scene, (apicBase) => apicBase | APIC_BASE_ENABLE | APIC_BASE_EXTD);
  scene.unjudged.add(ICR_HIGH);
  const sends = [
    { low: 0x4000n, destination: bed.apicId(target, scene.lapics.get(target)), to: target },
    { low: 0x4000n | SELF, destination: 0, to: sender },
  ];
  return sends.flatMap(({ low, destination, to }) => {
    scene.send = { icr: Number(low), destination, addressees: [to], leaves: 'irr' };
    const value = Number(low) | scene.vector;
    const data = (BigInt(destination) << 32n) | BigInt(value);
    // The kernel resolves it by its map of enabled LAPICs alone, and drops what that does not have.
    if ((bed.register(bed.now[to]!, 'SVR') & 0x100) === 0) return [];
    return step(
      scene,
      `KVM_DSM_X2APIC ${hex(data)}`,
      [icr(value)],
      () =>
        ctx.answer('KVM_DSM_X2APIC', () => bed.vm.ioctlRaw(request, argument.encode({ vcpuId: vcpu.vcpuId, data }))),
      (own) => {
        own.lapic = Buffer.from(own.lapic);
        own.lapic.writeUInt32LE(destination, lapicRegisters.ICR2);
      },
    );
  });
}

/** They are other ones in the other mode. */
const IDS = [lapicRegisters.ID, lapicRegisters.LDR, lapicRegisters.DFR, lapicRegisters.ICR2, ICR_HIGH];

function base(ctx: CheckContext, scene: Scene): Wrong[] {
  const { bed, vcpu, sender } = scene;
  const { request, argument } = ctx.profile.ioctls.KVM_DSM_APIC_BASE;
  const old = bed.sregs(bed.now[sender]!).apicBase;
  const replay = (name: string, data: bigint, host: boolean, taken = true) =>
    step(
      scene,
      `KVM_DSM_APIC_BASE, ${name}`,
      [],
      () =>
        ctx.answer('KVM_DSM_APIC_BASE', () =>
          bed.vm.ioctlRaw(request, argument.encode({ vcpuId: vcpu.vcpuId, host, index: IA32_APIC_BASE, data })),
        ),
      (own) => {
        if (taken) own.sregs = Buffer.from(kvmSregs.encode({ ...bed.sregs(own), apicBase: data }));
      },
    );
  const page = BigInt(ctx.random.integer(0x8_0000, 0xf_ffff)) << 12n;
  const moved = [
    ...replay('elsewhere', page | (old & 0xfffn), scene.vector % 2 === 0),
    ...replay('elsewhere with all bits', 0xffff_f000n | (old & 0xfffn), true),
    ...replay('back', old, scene.vector % 2 === 1),
  ];
  if (!ctx.facts.x2apic) return moved;
  for (const offset of IDS) scene.unjudged.add(offset);
  return [
    ...moved,
    ...replay('to x2APIC mode', old | APIC_BASE_ENABLE | APIC_BASE_EXTD, false),
    // Kernels of some series answer this with an error, and rightly so.
    ...replay('to xAPIC mode, as a guest may not', old, false, false).filter(({ claim }) => claim === 'state'),
    ...replay('to xAPIC mode, as user space may', old, true),
  ];
}
