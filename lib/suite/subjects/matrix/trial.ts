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
import { Intruder } from './intruder.ts';
import {
  atExitDifferences,
  type ExpectedWrites,
  judgeExits,
  judgeStates,
  type Seen,
  type Sent,
  type Wrong,
} from './judge.ts';
import { CODE, CODE_SIZE, INTRUDER, STACK } from './layout.ts';
import { flat32 } from './modes.ts';
import type { Piece, Scene, Send } from './scene.ts';

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

/** The most vCPUs that are looked at in the middle of a scene as well. */
const FEW = 8;

/** What a scene writes: first its prelude. */
function writesOf(scene: Scene): { prelude: LapicWrite[]; own: readonly LapicWrite[]; sends: Sent[] } {
  const { sent, vector, preludeSend: first, preludeVector } = scene;
  const pair = ({ destination, icr: bits }: Send, number: number, noise: number): [LapicWrite, LapicWrite] => [
    icr2(((destination << 24) | noise) >>> 0),
    icr((bits | number) >>> 0),
  ];
  const own = scene.sequence(...pair(sent, vector, scene.noise));
  // Each register is written once by what has to find a certain value there.
  const kind = scene.form.onZero || scene.form.onOnes ? 'none' : scene.prelude;
  const prelude = pair(first, preludeVector, scene.noise ^ 0xff).slice({ icr: 1, both: 0, none: 2 }[kind]);
  const sends = [
    ...(prelude.length > 0 ? [{ send: first, vector: preludeVector }] : []),
    ...(own.some(({ register }) => register === 'ICR') ? [{ send: sent, vector }] : []),
  ];
  return { prelude, own, sends };
}

function playPart(ctx: CheckContext, scene: Scene): Wrong[] {
  const { bed, vcpu, mode, form, sender } = scene;
  if (form.onZero) scene.lapic({ ICR2: 0 });
  if (form.onOnes) scene.lapic({ ICR2: 0xffff_ffff, ICR: 0xffff_ffff });
  const { prelude, own, sends } = writesOf(scene);
  const writes = [...prelude, ...own];
  const place = scene.intruder;
  const intruder = place === null ? null : new Intruder(ctx, bed, place);
  const { code, behind } = assemble(scene, writes, prelude.length);
  bed.load(CODE, code);
  bring(scene);
  for (const ready of scene.ready) ready();
  const before = [...bed.now];
  const runs = bed.runs();
  const others = bed.vcpus.flatMap((_, at) => (at === sender ? [] : at));
  const read = (places: readonly number[]) => new Map(places.map((at) => [at, bed.read(at)] as const));
  const last = writes.at(-1)!;
  const expected: ExpectedWrites = {
    vcpuId: vcpu.vcpuId,
    writes,
    sends,
    rips: form.repeats || scene.steps ? null : behind.map((offset) => BigInt(mode.rip + offset)),
    end: BigInt(mode.rip + code.length),
    icr2: bed.register(before[sender]!, 'ICR2'),
    intruder,
    last: { where: apicOf(scene) + lapicRegisters[last.register], value: last.value },
  };

  const wrong: Wrong[] = [];
  let taken = false;
  const intrude = () => {
    if (!intruder) return;
    intruder.write();
    runs[intruder.place] = bed.runs()[intruder.place]!;
  };
  /** Between the sender's writes, of which there have been so many. */
  const between = (count: number) => {
    if (count < prelude.length + 2 && count < writes.length) intrude();
    if (count !== writes.length || !scene.busy || bed.vcpus.length > FEW) return;
    // Who has got something takes it now: what comes once more would be seen.
    wrong.push(...judgeStates(scene, expected, before, read(others)));
    for (const at of others) bed.set(at, before[at]!);
    taken = true;
  };
  intrude();
  const { seen, strange } = run(ctx, scene, between);
  // What the last exit left to do is done without the guest; an exit that comes of it is one too many.
  if (vcpu.settle()) note(scene, vcpu.exit(ctx.profile), seen, strange);

  const handled = bed.handled().filter((vector) => !scene.handles.has(vector));
  const quiet = { ...expected, sends: [], intruder: null };
  return [
    ...judgeExits(
      expected,
      seen,
      strange.filter(({ name }) => !scene.exits.has(name)),
    ),
    ...wrong,
    ...(intruder?.wrong ?? []),
    ...judgeStates(scene, expected, before, read([sender])),
    ...judgeStates(scene, taken ? quiet : expected, before, read(others)),
    ...handled.map(
      (vector): Wrong => ({
        register: 'both',
        claim: 'state',
        text: `the sender handled vector ${hex(vector)}, which nothing brought`,
      }),
    ),
    ...bed.runs().flatMap((bytes, at) => {
      if (at === sender || bytes.equals(runs[at]!)) return [];
      return [{ register: 'both', claim: 'state', text: `kvm_run of vCPU ${bed.vcpus[at]!.vcpuId} changed` } as const];
    }),
  ];
}

/** Where the sender's APIC page is for its code. */
const apicOf = ({ mode, apicBase }: Scene) => mode.apic + (apicBase === null ? 0 : Number(apicBase) - mode.apic);

/** The guest's code, of which the first writes are the prelude; `behind`: where each write's instruction ends. */
function assemble(
  scene: Scene,
  writes: readonly LapicWrite[],
  prelude: number,
): { code: Uint8Array; behind: number[] } {
  const { mode, form } = scene;
  const code: number[] = [];
  const behind: number[] = [];
  const add = (pieces: readonly Piece[]) => {
    for (const piece of pieces) code.push(...piece(mode));
  };
  add(scene.before);
  writes.forEach(({ register, value }, at) => {
    if (at > prelude) add(scene.between);
    add(scene.each);
    code.push(...form.code(mode, apicOf(scene) + lapicRegisters[register], value));
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
  if (place === scene.intruder) {
    state.sregs = Buffer.from(kvmSregs.encode(flat32.sregs(bed.sregs(plain))));
    state.regs = Buffer.from(kvmRegs.encode({ ...junk, rip: BigInt(INTRUDER), rflags: RFLAGS_FIXED }));
    return state;
  }
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

/** `between` is told after the exit of each write how many there have been. */
function run(ctx: CheckContext, scene: Scene, between: (count: number) => void): { seen: Seen[]; strange: Exit[] } {
  const { vcpu, mode } = scene;
  const seen: Seen[] = [];
  const strange: Exit[] = [];
  const isEnd = (exit: Exit) =>
    mode.noPorts
      ? exit.name === 'KVM_EXIT_MMIO' && exit.isWrite && exit.data[0] === DONE_PORT
      : isPort(exit, DONE_PORT);
  for (;;) {
    const exit = saw(ctx, vcpu, scene.interrupt?.(vcpu) ?? vcpu.run({ profile: ctx.profile }));
    if (isEnd(exit)) return { seen, strange };
    if (note(scene, exit, seen, strange)) between(seen.length);
    if (seen.length + strange.length > MAX_EXITS) throw new CheckError(`${MAX_EXITS} exits, and the guest goes on`);
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
  // With the full irqchip nobody needs to ask.
  if (interrupts === 0n || bed.irqchip === 'full')
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

/** False: the exit is not of a write. */
function note(scene: Scene, exit: Exit, seen: Seen[], strange: Exit[]): boolean {
  if (exit.name !== 'KVM_EXIT_DSM_SEND_IRQ') {
    strange.push(exit);
    return false;
  }
  const { vcpu } = scene;
  seen.push({ exit, rip: vcpu.getRegs().rip, texts: scene.brief ? [] : atExit(scene, exit.val, exit.val2) });
  for (const look of scene.atWrite) look(vcpu);
  return true;
}
