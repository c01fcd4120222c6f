/** One scene played: the sender writes, and each of the three claims is judged for each of its writes. */
import { lapicRegisters } from '../../../abi/apic/lapic.ts';
import { KVM_RUN_X86_SMM } from '../../../abi/kvm/exit-reason.ts';
import { kvmRegs, kvmSregs, kvmVcpuEvents, RFLAGS_FIXED } from '../../../abi/kvm/index.ts';
import { kvmRun } from '../../../abi/kvm/kvm-run.ts';
import { hex } from '../../../base/text.ts';
import type { Exit } from '../../../exit/exit.ts';
import { CheckError } from '../../errors.ts';
import type { CheckContext } from '../../kit/context.ts';
import { isPort, saw } from '../../kit/drive.ts';
import { DONE_PORT, icr, icr2, type LapicWrite } from '../../kit/guests.ts';
import type { VcpuState } from './bed.ts';
import { out, storeByte } from './code.ts';
import { atExitDifferences, type ExpectedWrites, judgeExits, judgeStates, type Seen, type Wrong } from './judge.ts';
import { CODE, CODE_SIZE, STACK } from './layout.ts';
import type { Piece, Scene } from './scene.ts';

/** More than any scene makes. */
const MAX_EXITS = 1024;

/** What a guest's general registers hold, each another value. */
const junk = Object.fromEntries(
  ['rax', 'rbx', 'rcx', 'rdx', 'rsi', 'rdi', 'rbp', 'r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15'].map(
    (name, n) => [name, 0x5a00_c3e1n + (BigInt(n) << 16n)],
  ),
);

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
  const { sent } = scene;
  const writes = scene.sequence(
    icr2(((sent.destination << 24) | scene.noise) >>> 0),
    icr((sent.icr | scene.vector) >>> 0),
  );
  const { code, behind } = assemble(scene, writes);
  bed.load(CODE, code);
  bring(scene);
  for (const ready of scene.ready) ready();
  const before = [...bed.now];
  const runs = bed.runs();

  const { seen, others } = run(ctx, scene);
  // What the last exit left to do is done without the guest; an exit that comes of it is one too many.
  if (vcpu.settle()) note(scene, vcpu.exit(ctx.profile), seen, others);
  const after = bed.vcpus.map((_, place) => bed.read(place));

  const expected: ExpectedWrites = {
    vcpuId: vcpu.vcpuId,
    writes,
    rips: form.repeats || scene.steps ? null : behind.map((offset) => BigInt(mode.rip + offset)),
    end: BigInt(mode.rip + code.length),
    icr2: bed.register(before[sender]!, 'ICR2'),
  };
  const handled = bed.handled().filter((vector) => !scene.handles.has(vector));
  const strange = others.filter(({ name }) => !scene.exits.has(name));
  return [
    ...judgeExits(expected, seen, strange),
    ...judgeStates(scene, expected, before, after),
    ...handled.map(
      (vector): Wrong => ({
        register: 'both',
        claim: 'state',
        text: `the sender handled vector ${hex(vector)}, which nothing brought`,
      }),
    ),
    ...bed.runs().flatMap((bytes, place) => {
      if (place === sender || bytes.equals(runs[place]!)) return [];
      return [
        { register: 'both', claim: 'state', text: `kvm_run of vCPU ${bed.vcpus[place]!.vcpuId} changed` } as const,
      ];
    }),
  ];
}

/** The guest's code; `behind`: where each write's instruction ends. */
function assemble(scene: Scene, writes: readonly LapicWrite[]): { code: Uint8Array; behind: number[] } {
  const { mode, form } = scene;
  const code: number[] = [];
  const behind: number[] = [];
  const add = (pieces: readonly Piece[]) => {
    for (const piece of pieces) code.push(...piece(mode));
  };
  add(scene.before);
  const apic = mode.apic + (scene.apicBase === null ? 0 : Number(scene.apicBase) - mode.apic);
  writes.forEach(({ register, value }, at) => {
    if (at > 0) add(scene.between);
    code.push(...form.code(mode, apic + lapicRegisters[register], value));
    behind.push(code.length);
  });
  code.push(...(mode.noPorts ? storeByte(mode, mode.device, DONE_PORT) : out(DONE_PORT)));
  if (code.length > CODE_SIZE) throw new RangeError(`${code.length} bytes of code`);
  return { code: Uint8Array.from(code), behind };
}

/** Brings all vCPUs into the state with which the scene begins. */
export function bring(scene: Scene): void {
  scene.bed.vcpus.forEach((_, place) => {
    scene.bed.set(place, wanted(scene, place));
  });
}

/** What a vCPU has to be like when the scene begins. */
function wanted(scene: Scene, place: number): VcpuState {
  const { bed, mode, sender } = scene;
  const plain = bed.plain[place]!;
  const state = { ...plain };
  const lapic = scene.lapics.get(place);
  if (lapic) {
    state.lapic = Buffer.from(plain.lapic);
    for (const [offset, value] of lapic) state.lapic.writeUInt32LE(value, offset);
  }
  const events = scene.events.get(place);
  if (events) state.events = Buffer.from(kvmVcpuEvents.encode(events(bed.events(plain))));
  const mp = scene.mpStates.get(place);
  if (mp !== undefined) {
    state.mp = Buffer.alloc(4);
    state.mp.writeUInt32LE(mp);
  }
  const tpr = lapic?.get(lapicRegisters.TPR) ?? 0;
  const own = scene.ownSregs.get(place);
  if (place !== sender) {
    const sregs = { ...bed.sregs(plain), cr8: BigInt(tpr >> 4) };
    if (tpr !== 0 || own) state.sregs = Buffer.from(kvmSregs.encode(own ? own(sregs) : sregs));
    return state;
  }
  let sregs = { ...mode.sregs(bed.sregs(plain)), cr8: BigInt(tpr >> 4) };
  if (scene.apicBase !== null) sregs.apicBase = (sregs.apicBase & 0xfffn) | scene.apicBase;
  for (const change of scene.sregs) sregs = change(sregs);
  state.sregs = Buffer.from(kvmSregs.encode(sregs));
  const rflags = RFLAGS_FIXED | mode.flags | scene.flags;
  const rsp = BigInt(mode.bits === 16 ? 0xff00 : STACK);
  state.regs = Buffer.from(kvmRegs.encode({ ...junk, rsp, ...scene.regs, rip: BigInt(mode.rip), rflags }));
  return state;
}

function run(ctx: CheckContext, scene: Scene): { seen: Seen[]; others: Exit[] } {
  const { vcpu, mode } = scene;
  const seen: Seen[] = [];
  const others: Exit[] = [];
  const isEnd = (exit: Exit) =>
    mode.noPorts
      ? exit.name === 'KVM_EXIT_MMIO' && exit.isWrite && exit.data[0] === DONE_PORT
      : isPort(exit, DONE_PORT);
  for (;;) {
    const exit = saw(ctx, vcpu, scene.interrupt?.(vcpu) ?? vcpu.run({ profile: ctx.profile }));
    if (isEnd(exit)) return { seen, others };
    note(scene, exit, seen, others);
    if (seen.length + others.length > MAX_EXITS) throw new CheckError(`${MAX_EXITS} exits, and the guest goes on`);
  }
}

/** What kvm_run says beside the payload, and whether the LAPIC has acted, at the exit of a write. */
function atExit(scene: Scene, register: number, value: number): string[] {
  const { vcpu, bed, sender, flags } = scene;
  const run = kvmRun.read(vcpu.kvmRun, 0);
  const state = bed.now[sender]!;
  const sregs = bed.sregs(state);
  const interrupts = (flags >> 9n) & 1n;
  const now = bed.glance(sender);
  const page = now.lapic;
  const tpr = page.readUInt32LE(lapicRegisters.TPR);
  const rows: [string, bigint | number, bigint | number][] = [
    ['request_interrupt_window', run.requestInterruptWindow, scene.window],
    ['immediate_exit', run.immediateExit, 0],
    ['if_flag', run.ifFlag, Number(interrupts)],
    ['flags', run.flags, bed.events(state).smi.smm === 1 ? KVM_RUN_X86_SMM : 0],
    ['cr8', run.cr8, BigInt(tpr >> 4)],
    ['apic_base', run.apicBase, sregs.apicBase],
  ];
  if (interrupts === 0n)
    rows.push(['ready_for_interrupt_injection', run.readyForInterruptInjection, bed.irqchip === 'full' ? 1 : 0]);
  if (register === lapicRegisters.ICR) rows.push(['ICR', page.readUInt32LE(register), (value & ~(1 << 12)) >>> 0]);
  if (register === lapicRegisters.ICR2) rows.push(['ICR2', page.readUInt32LE(register), (value & 0xff00_0000) >>> 0]);
  return [
    ...rows.flatMap(([name, got, wanted]) =>
      got === wanted ? [] : [`${name} is ${hex(got)}, expected ${hex(wanted)}`],
    ),
    ...atExitDifferences(scene, state, now),
  ];
}

function note(scene: Scene, exit: Exit, seen: Seen[], others: Exit[]): void {
  if (exit.name !== 'KVM_EXIT_DSM_SEND_IRQ') return void others.push(exit);
  const { vcpu } = scene;
  seen.push({ exit, rip: vcpu.getRegs().rip, texts: scene.brief ? [] : atExit(scene, exit.val, exit.val2) });
  for (const look of scene.atWrite) look(vcpu);
}
