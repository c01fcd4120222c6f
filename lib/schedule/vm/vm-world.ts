/** The vCPUs of a VM, driven from one thread: a step is what one of them does between two schedule points. */

import { vectorName } from '../../abi/exceptions.ts';
import { exitReasons, KVM_EXIT_IO_OUT } from '../../abi/kvm/exit-reason.ts';
import { kvmRegs, mpStates } from '../../abi/kvm/index.ts';
import { KVM_SYNC_X86_REGS, kvmRun, RUN_SYNC_REGS_OFFSET, RUN_UNION_OFFSET } from '../../abi/kvm/kvm-run.ts';
import { DeadlineError, IoctlError } from '../../base/errors.ts';
import { hex } from '../../base/text.ts';
import type { Exit } from '../../exit/exit.ts';
import { describeExit } from '../../exit/text.ts';
import { END_PORT } from '../../guest/end-guard.ts';
import { guestPorts, readWord } from '../../guest/protocol.ts';
import { STEP_PORT } from '../../guest/step-port.ts';
import type { Vcpu } from '../../kvm/vcpu/vcpu.ts';
import type { Vm } from '../../kvm/vm/vm.ts';
import type { Footprint } from '../footprint.ts';
import type { Saved, World } from '../world.ts';
import type { StepFacts } from './code-facts.ts';
import { SavedMemory } from './saved-memory.ts';
import { SavedVcpu, settle } from './saved-vcpu.ts';
import { wakes } from './wake.ts';

/** What the scheduler has of the machine around the vCPUs. */
export interface Around {
  readonly vm: Vm;
  readonly vcpus: readonly Vcpu[];
  /** Those that run nothing: their local APICs take interrupts all the same. */
  readonly others: readonly Vcpu[];
  /** Every exit ends a step, not only those that are schedule points by themselves. */
  readonly everyExit: boolean;
  /** RFLAGS.IF of each, and RIP at the schedule point where it stands, when schedules begin. */
  readonly first: readonly { readonly interrupts: boolean; readonly rip: number }[];
  /** KVM has finished an `out` when KVM_RUN returns for it, as its emulator does: RIP is behind it. */
  readonly finishesOut: boolean;
  /** What is known of each vCPU's steps, by where they begin. */
  readonly facts: readonly ReadonlyMap<number, StepFacts>[];
  /** Answers a read of a port or of memory that nobody has. */
  answer(vcpu: Vcpu, exit: Exit): void;
  /** An exit that is no schedule point. */
  exit?(vcpu: Vcpu, exit: Exit): void;
  /** Milliseconds that are left. */
  left(): number;
}

/** How long one is given to sleep or to come out, in ms. One that has work to do and is slow is entered again. */
const SLICE = 1;
/** The same for a step that cannot sleep. */
const KNOWN_SLICE = 100;
/** A step that takes longer has no end, in ms. */
const LONGEST_STEP = 2000;

const ports: ReadonlySet<number> = new Set([STEP_PORT, END_PORT, ...Object.values(guestPorts)]);
const RIP = RUN_SYNC_REGS_OFFSET + kvmRegs.fields.rip.offset;
const RSP = RUN_SYNC_REGS_OFFSET + kvmRegs.fields.rsp.offset;

/** Where one is. */
interface Runner {
  readonly vcpu: Vcpu;
  readonly index: number;
  readonly run: DataView;
  readonly state: SavedVcpu;
  readonly sleepsAtFirst: boolean;
  /** It goes on when something wakes it. */
  sleeps: boolean;
  /** It has come to its `done()`. */
  done: boolean;
  /** RFLAGS.IF. */
  interrupts: boolean;
  /** Steps, in all, when it was last seen that nothing wakes it. */
  asleepAt: number;
  /** RIP behind its last step. */
  rip: number;
  /** It is elsewhere than at the begin. */
  moved: boolean;
  /** kvm_run has its registers as its last exit left them: of an `out` that is not finished. */
  atExit: boolean;
  /** Where KVM has an `out` to finish; -1: nowhere. */
  exitRip: number;
  /** All of kvm_run. */
  readonly page: Uint8Array;
  /** Nothing is left to do of its last exit. */
  settled: boolean;
}

export class VmWorld implements World, Disposable {
  readonly #around: Around;
  readonly #memory: SavedMemory;
  readonly #runners: readonly Runner[];
  readonly #others: readonly SavedVcpu[];
  readonly #byId: ReadonlyMap<number, Runner>;
  /** Steps, of all schedules, that may have woken somebody. */
  #news = 0;
  #broken: string | null = null;
  /** Each step since the begin was known, and left the local APICs alone. */
  #plain = false;
  /** Guest physical addresses, if so: where they wrote. */
  readonly #wrote = new Set<number>();
  /** Of all that was seen, in order: the same schedules of the same program have the same. */
  #digest = 0x811c9dc5;

  constructor(around: Around) {
    this.#around = around;
    this.#memory = new SavedMemory(around.vm);
    this.#runners = around.vcpus.map((vcpu, index) => runnerOf(vcpu, index, around));
    this.#others = around.others.map((vcpu) => new SavedVcpu(vcpu));
    this.#byId = new Map(this.#runners.map((runner) => [runner.vcpu.vcpuId, runner]));
  }

  /** What ended this schedule before its time: a fault, say; `null` if nothing did. */
  get broken(): string | null {
    return this.#broken;
  }

  /** FNV-1a of who took each step, and where it came to. */
  get digest(): number {
    return this.#digest;
  }

  /** vcpu_ids of those that have come to their `done()`. */
  get done(): number[] {
    return this.#runners.filter(({ done }) => done).map(({ vcpu }) => vcpu.vcpuId);
  }

  /** RIP where this one's next step begins. */
  ripOf(who: number): number {
    return this.#byId.get(who)!.rip;
  }

  begin(): void {
    this.#broken = null;
    if (this.#plain) this.#beginQuickly();
    else this.#beginAnew();
    this.#plain = true;
    this.#wrote.clear();
    for (const [index, runner] of this.#runners.entries()) {
      runner.sleeps = runner.sleepsAtFirst;
      runner.done = false;
      Object.assign(runner, this.#around.first[index]);
    }
  }

  /** Only memory and registers have changed: KVM_RUN takes these from kvm_run, and no ioctl is needed. */
  #beginQuickly(): void {
    for (const runner of this.#runners) {
      if (runner.moved) putRegs(runner, runner.state.regs);
      runner.moved = false;
    }
    this.#memory.restore(this.#wrote);
  }

  save(): Saved | null {
    if (!this.#plain) return null;
    const wrote = [...this.#wrote];
    const memory = this.#memory.copy(wrote);
    const runners = this.#runners.map((runner) => {
      const { sleeps, done, interrupts, rip } = runner;
      return { runner, regs: runner.moved ? this.#regsOf(runner) : null, where: { sleeps, done, interrupts, rip } };
    });
    return () => {
      this.begin();
      memory();
      for (const at of wrote) this.#wrote.add(at);
      for (const { runner, regs, where } of runners) {
        Object.assign(runner, where);
        if (regs === null) continue;
        putRegs(runner, regs);
        runner.moved = true;
      }
    };
  }

  #beginAnew(): void {
    this.#news += 1;
    this.settle();
    for (const runner of this.#runners) {
      const { run, page, state } = runner;
      state.restore();
      run.setUint8(DIRTY_REGS, 0);
      page.set(state.regs, RUN_SYNC_REGS_OFFSET);
      runner.moved = runner.atExit = false;
    }
    for (const state of this.#others) state.restore();
    this.#memory.restore();
  }

  /** Brings the vCPUs into order, so that their registers can be looked at: behind the last step of a schedule. */
  settle(): void {
    for (const runner of this.#runners) {
      if (!runner.settled) settle(runner.vcpu);
      runner.settled = true;
      runner.exitRip = -1;
    }
  }

  ready(): number[] {
    if (this.#broken !== null) return [];
    return this.#runners.filter((runner) => !runner.sleeps || this.#wakes(runner)).map(({ vcpu }) => vcpu.vcpuId);
  }

  #wakes(runner: Runner): boolean {
    if (runner.asleepAt === this.#news) return false;
    const state = runner.vcpu.getMpState();
    const isHalted = state === mpStates.KVM_MP_STATE_HALTED;
    // One that waits for INIT and SIPI: KVM has acted on them by now. One that is done sleeps before its hlt.
    const isAwake =
      isHalted || runner.done ? wakes(runner.vcpu, runner.interrupts) : state === mpStates.KVM_MP_STATE_RUNNABLE;
    if (!isAwake) runner.asleepAt = this.#news;
    return isAwake;
  }

  step(who: number): Footprint | null {
    const runner = this.#byId.get(who)!;
    const { run, index, rip, interrupts } = runner;
    const facts = runner.sleeps ? undefined : this.#around.facts[index]!.get(rip);
    const touches = facts?.touches(run) ?? null;
    const stack = run.getUint32(RSP, true);
    runner.sleeps = runner.settled = false;
    runner.moved = runner.atExit = true;
    this.#enter(runner, facts ? KNOWN_SLICE : SLICE);
    const stands = run.getUint32(RIP, true);
    runner.rip = this.#around.finishesOut && this.#isAtPoint(runner) ? stands - OUT_SIZE : stands;
    runner.exitRip = stands;
    runner.interrupts = run.getUint8(IF_FLAG) !== 0;
    this.#mix(who);
    this.#mix(runner.rip);
    // An interrupt that was taken instead has left its frame on the stack.
    const isPlain = facts?.next.includes(runner.rip) === true && run.getUint32(RSP, true) === stack;
    const isKnown = touches !== null && isPlain && this.#broken === null;
    const touched = isKnown ? { ...touches, interruptible: interrupts || runner.interrupts } : null;
    if (touched === null || touched.apic) {
      this.#news += 1;
      this.#plain = false;
    } else for (const { from, to, writes } of touched.memory) if (writes) this.#wrote.add(from).add(to - 1);
    return touched;
  }

  /** Into the guest, until its step is over. */
  #enter(runner: Runner, slice: number): void {
    const { vcpu } = runner;
    let ends = 0;
    // A host that is busy may take longer than that to enter the guest at all.
    for (let given = slice; ; given = Math.min(2 * given, KNOWN_SLICE)) {
      const outcome = vcpu.runRaw(given);
      if (outcome.kind === 'exit') {
        if (this.#isOver(runner)) return;
      } else if (outcome.kind === 'errno') {
        // An AP has taken INIT or SIPI.
        if (outcome.name !== 'EAGAIN') throw new IoctlError('KVM_RUN', outcome.errno);
      } else if (vcpu.getMpState() !== mpStates.KVM_MP_STATE_RUNNABLE) {
        runner.sleeps = true;
        return;
      } else {
        const now = performance.now();
        ends ||= now + Math.min(LONGEST_STEP, this.#around.left());
        if (now >= ends)
          throw new DeadlineError(`vCPU ${vcpu.vcpuId} came to no schedule point in its step`, vcpu.registerReport());
      }
    }
  }

  /** True if the exit that lies in kvm_run ends the step. */
  #isOver(runner: Runner): boolean {
    const { run, vcpu } = runner;
    const reason = run.getUint32(8, true);
    if (reason === exitReasons.KVM_EXIT_IO && run.getUint8(RUN_UNION_OFFSET) === KVM_EXIT_IO_OUT) {
      const port = run.getUint16(RUN_UNION_OFFSET + 2, true);
      if (port === STEP_PORT) return true;
      if (port === guestPorts.done && run.getUint8(RUN_UNION_OFFSET + 1) === 4) {
        runner.done = runner.sleeps = true;
        return true;
      }
      if (ports.has(port)) return this.#word(runner);
    }
    const exit = vcpu.exit();
    const { name } = exit;
    if (name === 'KVM_EXIT_HLT') runner.sleeps = true;
    else if (isFatal(name)) this.#broken = `vCPU ${vcpu.vcpuId} cannot go on: ${describeExit(exit)}`;
    else {
      this.#around.answer(vcpu, exit);
      this.#around.exit?.(vcpu, exit);
      this.#mix(reason);
      return this.#around.everyExit;
    }
    return true;
  }

  /** What a guest says ends its step; true if it says something. */
  #word(runner: Runner): boolean {
    const { vcpu } = runner;
    const exit = vcpu.exit();
    const word = readWord(exit, () => Number(vcpu.exitRegs().rcx & 0xffff_ffffn));
    this.#around.exit?.(vcpu, exit);
    const name = `vCPU ${vcpu.vcpuId}`;
    if (word?.kind === 'fault') this.#broken = `${name} had ${vectorName(word.vector)}, which nothing handles`;
    else if (word?.kind === 'assert') this.#broken = `${name}: ${word.text}, got ${hex(word.actual)}`;
    else if (word?.kind === 'end') this.#broken = `${name} ran past the end of its program`;
    return word !== undefined || this.#around.everyExit;
  }

  /** Its registers as they are when the `out` that ended its step is finished. */
  #regsOf({ page, atExit }: Runner): Uint8Array {
    const regs = page.slice(RUN_SYNC_REGS_OFFSET, RUN_SYNC_REGS_OFFSET + kvmRegs.size);
    const view = new DataView(regs.buffer);
    const { offset } = kvmRegs.fields.rip;
    if (atExit && !this.#around.finishesOut) view.setUint32(offset, view.getUint32(offset, true) + OUT_SIZE, true);
    return regs;
  }

  /** Its last exit was the `out` of a point, or of `done()`. */
  #isAtPoint({ run }: Runner): boolean {
    if (run.getUint32(8, true) !== exitReasons.KVM_EXIT_IO) return false;
    const port = run.getUint16(RUN_UNION_OFFSET + 2, true);
    return port === STEP_PORT || port === guestPorts.done;
  }

  #mix(value: number): void {
    this.#digest = Math.imul(this.#digest ^ value, 0x01000193) >>> 0;
  }

  /** Memory is no longer watched. */
  [Symbol.dispose](): void {
    this.settle();
    this.#memory[Symbol.dispose]();
  }
}

/** Bytes of an `out` that ends a step of which all is known: `out imm8, al` and `out imm8, eax`. */
const OUT_SIZE = 2;
/** kvm_run.if_flag. */
const IF_FLAG = 13;
/** The low byte of kvm_run.kvm_dirty_regs. */
const DIRTY_REGS = kvmRun.fields.kvmDirtyRegs.offset;

function isFatal(name: Exit['name']): boolean {
  return name === 'KVM_EXIT_SHUTDOWN' || name === 'KVM_EXIT_FAIL_ENTRY' || name === 'KVM_EXIT_INTERNAL_ERROR';
}

/** The next KVM_RUN takes them. */
function putRegs(runner: Runner, regs: Uint8Array): void {
  const { vcpu, run, page } = runner;
  page.set(regs, RUN_SYNC_REGS_OFFSET);
  if (runner.exitRip === run.getUint32(RIP, true)) {
    // KVM would take the instruction there for the one that it has to finish, and skip it.
    settle(vcpu);
    runner.exitRip = -1;
    page.set(regs, RUN_SYNC_REGS_OFFSET);
  }
  run.setUint8(DIRTY_REGS, KVM_SYNC_X86_REGS);
  runner.settled = runner.atExit = false;
}

function runnerOf(vcpu: Vcpu, index: number, { first }: Around): Runner {
  vcpu.requestSyncRegs({ regs: true });
  const sleepsAtFirst = vcpu.getMpState() !== mpStates.KVM_MP_STATE_RUNNABLE;
  return {
    vcpu,
    index,
    run: vcpu.kvmRun,
    state: new SavedVcpu(vcpu),
    sleepsAtFirst,
    sleeps: sleepsAtFirst,
    done: false,
    ...first[index]!,
    asleepAt: -1,
    page: new Uint8Array(vcpu.kvmRun.buffer, vcpu.kvmRun.byteOffset),
    settled: true,
    moved: true,
    atExit: false,
    exitRip: first[index]!.rip,
  };
}
