/** One scene played: the sender writes, and each of the three claims is judged for each of its writes. */
import { lapicRegisters } from '../../../abi/apic/lapic.ts';
import { KVM_RUN_X86_SMM } from '../../../abi/kvm/exit-reason.ts';
import { kvmRegs, kvmSregs, kvmVcpuEvents, mpStates, RFLAGS_FIXED } from '../../../abi/kvm/index.ts';
import { kvmRun } from '../../../abi/kvm/kvm-run.ts';
import { DeadlineError } from '../../../base/errors.ts';
import { hex } from '../../../base/text.ts';
import type { Exit } from '../../../exit/exit.ts';
import { CheckError } from '../../errors.ts';
import type { CheckContext } from '../../kit/context.ts';
import { isPort, saw } from '../../kit/drive.ts';
import { DONE_PORT, icr, icr2, type LapicWrite } from '../../kit/guests.ts';
import type { VcpuState } from './bed.ts';
import { out, storeByte } from './code.ts';
import { isAsked } from './forms.ts';
import { Intruder } from './intruder.ts';
import { type ExpectedWrites, judgeExits, judgeStates, type Seen, type Sent, upTo, type Wrong } from './judge.ts';
import { CODE, CODE_SIZE, INTRUDER, STACK } from './layout.ts';
import { flat32 } from './modes.ts';
import { FEW, type Piece, type Scene } from './scene.ts';
import type { Send } from './send.ts';

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

/** What a scene writes, of which the first `prelude` writes come before its own; and what each of them sends. */
interface Plan {
  prelude: number;
  writes: readonly LapicWrite[];
  sends: readonly (Sent | null)[];
}

function planOf(scene: Scene): Plan {
  const { sent, vector } = scene;
  const pair = ({ destination, icr: bits }: Send, number: number, noise: number): [LapicWrite, LapicWrite] => [
    icr2(((destination << 24) | noise) >>> 0),
    icr((bits | number) >>> 0),
  ];
  const status = ({ icr, ...send }: Send): Send => ({ ...send, icr: icr | scene.status });
  const own = scene.sequence(...pair(status(sent), vector, scene.noise));
  // Each register is written once by what has to find a certain value there.
  const kind = scene.form.onZero || scene.form.onOnes ? 'none' : scene.prelude;
  const sends = (writes: readonly LapicWrite[], send: Send) =>
    writes.map(({ register, value }) => (register === 'ICR' ? { send, vector: value & 0xff } : null));
  const first = (toHeld: boolean): Pick<Plan, 'writes' | 'sends'> => {
    const { send, vector: number } = scene.drawPrelude(toHeld);
    const once = pair(send, number, scene.noise ^ 0xff).slice(toHeld ? 1 : 0);
    const writes = kind === 'again' ? once.flatMap((write) => [write, write]) : once;
    return { writes, sends: sends(writes, send) };
  };
  const parts = { none: [], icr: [true], both: [false], again: [false], all: [true, false] }[kind].map(first);
  const before = parts.flatMap(({ writes }) => writes);
  return {
    prelude: before.length,
    writes: [...before, ...own],
    sends: [...parts.flatMap((part) => part.sends), ...sends(own, sent)],
  };
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
    const { joint } = scene;
    if (!joint || at < prelude) {
      add(scene.each);
      code.push(...form.code(mode, apicOf(scene) + lapicRegisters[register], value));
    } else if (at === prelude) {
      add(scene.each);
      code.push(...joint.code(mode, apicOf(scene), [writes[at]!, writes[at + 1]!]));
    }
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

/** Exits that tell of writes, and others. */
interface Exits {
  seen: Seen[];
  strange: Exit[];
  /** Of the writes of one instruction, how many have not come out. */
  skipped: 0 | 1;
}

/** Whether an exit tells of the second of an instruction's writes, where the first would be next. */
function isSecond({ writes, joint }: ExpectedWrites, made: number, exit: Exit): boolean {
  const second = writes[made + 1];
  if (joint !== made || exit.name !== 'KVM_EXIT_DSM_SEND_IRQ') return false;
  return exit.val === lapicRegisters[second!.register] && exit.val2 === second!.value;
}

/**
 * Up to the next exit. QEMU's VMRUN does not take VMCB's interrupt shadow (target/i386/tcg, helper_vmrun): where an interrupt of the host comes
 * between STI and HLT, the guest takes its own before HLT, and sleeps. That is no fault of the kernel's: it is woken.
 */
function enter(ctx: CheckContext, { vcpu, bed, ending }: Scene): Exit {
  const next = () => vcpu.run({ profile: ctx.profile });
  try {
    return next();
  } catch (error) {
    const overslept =
      error instanceof DeadlineError &&
      ctx.facts.on === 'svm' &&
      ending !== null &&
      bed.handled().includes(ending) &&
      vcpu.getMpState() === mpStates.KVM_MP_STATE_HALTED;
    if (!overslept) throw error;
    ctx.log(`vCPU ${vcpu.vcpuId} took vector ${hex(ending)} before its HLT, and was woken`);
    vcpu.setMpState(mpStates.KVM_MP_STATE_RUNNABLE);
    return next();
  }
}

/** `between` is told after the exit of each write how many there have been. */
function run(
  ctx: CheckContext,
  scene: Scene,
  expected: ExpectedWrites,
  before: VcpuState,
  between: (made: number) => void,
): Exits {
  const { vcpu, mode } = scene;
  const exits: Exits = { seen: [], strange: [], skipped: 0 };
  const { seen, strange } = exits;
  const isEnd = (exit: Exit) =>
    mode.noPorts
      ? exit.name === 'KVM_EXIT_MMIO' && exit.isWrite && exit.data[0] === DONE_PORT
      : isPort(exit, DONE_PORT);
  for (;;) {
    const exit = saw(ctx, vcpu, scene.interrupt?.(vcpu) ?? enter(ctx, scene));
    if (isEnd(exit)) return exits;
    if (isSecond(expected, seen.length, exit)) exits.skipped = 1;
    const made = seen.length + exits.skipped + 1;
    // When the first of an instruction's writes comes out, the second is made as well.
    const isFirst = expected.joint === made - 1;
    const look = made > expected.writes.length || isFirst ? null : () => atExit(scene, upTo(expected, made), before);
    if (note(scene, exit, exits, look)) between(made);
    else if (scene.form.asks && isAsked(exit)) vcpu.completeRead(expected.writes[made - 1]?.value ?? 0);
    if (seen.length + strange.length > MAX_EXITS) throw new CheckError(`${MAX_EXITS} exits, and the guest goes on`);
  }
}

/** What kvm_run says beside the payload, and what the sender is like, at the exit of the last of these writes. */
function atExit(scene: Scene, expected: ExpectedWrites, before: VcpuState): string[] {
  const { vcpu, bed, sender, flags } = scene;
  // A decoder takes an emulated CPU long.
  const { kvmRun: view } = vcpu;
  const { fields } = kvmRun;
  const sregs = bed.sregs(before);
  const interrupts = (flags >> 9n) & 1n;
  const now = scene.light ? before : bed.glance(sender);
  const tpr = now.lapic.readUInt32LE(lapicRegisters.TPR);
  const rows: [string, bigint | number, bigint | number][] = [
    ['request_interrupt_window', fields.requestInterruptWindow.read(view, 0), scene.window],
    ['immediate_exit', fields.immediateExit.read(view, 0), 0],
    ['if_flag', fields.ifFlag.read(view, 0), Number(interrupts)],
    ['flags', fields.flags.read(view, 0), bed.events(before).smi.smm === 1 ? KVM_RUN_X86_SMM : 0],
    ['cr8', fields.cr8.read(view, 0), BigInt(tpr >> 4)],
    ['apic_base', fields.apicBase.read(view, 0), sregs.apicBase],
  ];
  // With the full irqchip nobody needs to ask.
  if (interrupts === 0n || bed.irqchip === 'full') {
    const ready = fields.readyForInterruptInjection.read(view, 0);
    rows.push(['ready_for_interrupt_injection', ready, bed.irqchip === 'full' ? 1 : 0]);
  }
  return [
    ...rows.flatMap(([name, got, wanted]) =>
      got === wanted ? [] : [`${name} is ${hex(got)}, expected ${hex(wanted)}`],
    ),
    ...(scene.steps || scene.light
      ? []
      : judgeStates(scene, expected, { [sender]: before }, new Map([[sender, now]]))
    ).map(({ text }) => text),
  ];
}

/** False: the exit is not of a write. `look`: what is not as it should be then. */
function note(scene: Scene, exit: Exit, { seen, strange }: Exits, look: (() => string[]) | null): boolean {
  if (exit.name !== 'KVM_EXIT_DSM_SEND_IRQ') {
    strange.push(exit);
    return false;
  }
  seen.push({ exit, texts: look?.() ?? [] });
  for (const act of scene.atWrite) act(scene.vcpu);
  return true;
}
