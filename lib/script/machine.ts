import { setImmediate as eventLoop } from 'node:timers/promises';
import { checkProfile, type DsmProfile } from '../abi/dsm/profile.ts';
import { readLapicRegister } from '../abi/lapic.ts';
import { mpStates } from '../abi/x86.ts';
import { apicvParameter, inhibitApicv } from '../apicv.ts';
import { runBudgetLeft } from '../budget.ts';
import { checkBytes, checkChoice, checkInteger, checkObject } from '../check.ts';
import { type Duration, milliseconds } from '../duration.ts';
import { ArgumentError, DeadlineError, IoctlError, PayloadError } from '../errors.ts';
import type { Exit } from '../exit.ts';
import { bytesAt, type GuestCode } from '../guest/code.ts';
import { enterFlat32 } from '../guest/enter-flat32.ts';
import { Kvm } from '../kvm.ts';
import { GuestMemory, PAGE_SIZE } from '../memory.ts';
import { show } from '../show.ts';
import { pendingExit } from '../state/machine-state.ts';
import { DEFAULT_DEADLINE, type Vcpu } from '../vcpu.ts';
import { TSS_ADDRESS, type Vm } from '../vm.ts';
import { context } from './context.ts';
import { GuestFailureError } from './errors.ts';
import { describeEvent, type TraceExit } from './event.ts';
import { reportVcpu } from './report.ts';
import { runTogether } from './together.ts';
import { Trace } from './trace.ts';
import { describeUntil, type Until, untilExit } from './until.ts';

export interface MachineOptions {
  /** How many vCPUs, with vcpu_id and APIC id 0, 1, ...: 1 to 64. Default 1. */
  vcpus?: number;
  /** Guest memory in bytes from guest physical address 0, a multiple of 4096. Default: 64 KiB per vCPU, 2 MiB at least. */
  memory?: number;
  /** Where the interrupt controllers are: all in the kernel, local APICs in the kernel, or none. Default full. */
  irqchip?: 'full' | 'split' | 'none';
  /** Leave APICv on if the host has it on. Default false: inhibited for this machine, since it hides ICR writes. */
  apicv?: boolean;
  /** Instead of /dev/kvm. */
  device?: string;
  /** Whose exits 44..47 are meant. */
  profile?: DsmProfile;
}

export interface ProgramOptions {
  /** Start with RFLAGS.IF set. Default true; see `Flat32Entry`. */
  interrupts?: boolean;
}

export interface RunUntilOptions {
  /** When the run is over. Default: every vCPU with a program is idle in HLT. */
  until?: Until;
  /** From now. Default 10 s. */
  deadline?: Duration;
}

const MAX_VCPUS = 64;
/** Each vCPU has its own 64 KiB of low memory: a page of stack, then its program. */
const VCPU_AREA = 0x10000;
const STACK_SIZE = PAGE_SIZE;
const DEFAULT_MEMORY = 2 << 20;
/** The highest APIC id that xAPIC mode can address; 255 is broadcast. No machine's vCPU has it. */
const PARKED_VCPU_ID = 254;

/** How long a vCPU that runs alone keeps this thread, in ms, before the event loop gets its turn. */
const SLICE = 50;

/** One vCPU of a machine. */
export class MachineVcpu {
  readonly vcpu: Vcpu;
  readonly #memory: GuestMemory;
  #programmed = false;

  constructor(vcpu: Vcpu, memory: GuestMemory) {
    this.vcpu = vcpu;
    this.#memory = memory;
  }

  get id(): number {
    return this.vcpu.vcpuId;
  }

  /** True once it has something to run. */
  get programmed(): boolean {
    return this.#programmed;
  }

  /** Guest physical address of its program: 0x1000 for vCPU 0, 0x11000 for vCPU 1, ... */
  get entry(): number {
    return this.id * VCPU_AREA + STACK_SIZE;
  }

  /**
   * Loads guest code and points the vCPU at it, in flat 32-bit mode. A vCPU without a program stays as it is after
   * reset: an AP waits for INIT and SIPI.
   *
   * @param code from `asm.flat32`, assembled for the vCPU's `entry`; from `flat32(...)`; or raw machine code
   * @throws PayloadError if it is empty or larger than 60 KiB; AsmError if it cannot lie there; ArgumentError if it is
   *   code for another mode; PendingExitError if the program before it has made an exit that no run has seen yet, which
   *   lies in the vCPU's kvm_run then
   */
  program(code: GuestCode | Uint8Array, options: ProgramOptions = {}): this {
    if (!(code instanceof Uint8Array) && checkObject('code', code).mode !== 'flat32')
      throw new ArgumentError('code', `${show(code.mode)} code in a flat 32-bit entry`, 'Use asm.flat32 here.');
    const bytes = bytesAt(code, this.entry);
    checkBytes('code', bytes, 0, Number.POSITIVE_INFINITY);
    checkObject('options', options);
    const room = VCPU_AREA - STACK_SIZE;
    if (bytes.length === 0) throw PayloadError.empty();
    if (bytes.length > room) throw PayloadError.tooLarge(bytes.length, room);
    // What KVM has left to do of the last exit it would do to the new program: skip its first instruction, say.
    if (this.#programmed && this.vcpu.settle()) throw pendingExit(this.vcpu);
    this.#memory.write(this.entry, bytes);
    enterFlat32(this.vcpu, { rip: this.entry, rsp: this.entry, interrupts: options.interrupts ?? true });
    this.vcpu.setMpState(mpStates.KVM_MP_STATE_RUNNABLE);
    this.#programmed = true;
    return this;
  }
}

/** A VM with memory, vCPUs and a trace of every exit. */
export class Machine implements AsyncDisposable, Disposable {
  readonly kvm: Kvm;
  readonly vm: Vm;
  readonly memory: GuestMemory;
  readonly trace = new Trace();
  readonly profile: DsmProfile;
  /** What the script asked for: true leaves APICv as the host has it. */
  readonly apicv: boolean;
  readonly #vcpus: MachineVcpu[] = [];
  readonly #born = process.hrtime.bigint();
  #wroteIcr = false;

  /** Use `machine()`. */
  constructor(options: MachineOptions) {
    const count = checkInteger('vcpus', checkObject('options', options).vcpus ?? 1, 1, MAX_VCPUS);
    const irqchip = checkChoice('irqchip', options.irqchip ?? 'full', ['full', 'split', 'none'] as const);
    this.profile = checkProfile(options.profile ?? context.profile);
    this.apicv = options.apicv ?? false;
    if (options.memory !== undefined) checkInteger('memory', options.memory, 0, Number.MAX_SAFE_INTEGER);
    const size = options.memory ?? Math.max(DEFAULT_MEMORY, count * VCPU_AREA);
    if (size < count * VCPU_AREA)
      throw new ArgumentError('memory', `${size} bytes for ${count} vCPUs`, `Give each vCPU ${VCPU_AREA} bytes.`);
    this.memory = GuestMemory.allocate(size);
    try {
      this.kvm = Kvm.open(options.device ?? context.device);
    } catch (error) {
      this.memory.close();
      throw error;
    }
    this.vm = this.kvm.createVm();
    try {
      this.#build(count, irqchip);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  #build(count: number, irqchip: 'full' | 'split' | 'none'): void {
    const { vm, memory } = this;
    if (vm.checkExtension('KVM_CAP_SET_TSS_ADDR')) vm.setTssAddr(TSS_ADDRESS);
    if (irqchip === 'full') vm.createIrqchip();
    else if (irqchip === 'split') vm.enableSplitIrqchip();
    vm.setMemory({ slot: 0, guestPhysAddr: 0, memory });
    for (let id = 0; id < count; id++) this.#vcpus.push(new MachineVcpu(vm.createVcpu(id), memory));
    const hidden = irqchip !== 'none' && !this.apicv && apicvParameter()?.enabled;
    if (hidden) inhibitApicv(vm, PARKED_VCPU_ID);
    context.observer.machine?.(this);
  }

  /** The vCPU with this vcpu_id. Throws ArgumentError if the machine has none. */
  vcpu(id: number): MachineVcpu {
    const found = Number.isInteger(id) ? this.#vcpus[id] : undefined;
    if (!found)
      throw new ArgumentError(
        'id',
        `The machine has no vCPU ${show(id)}`,
        `Its vCPUs are 0 to ${this.#vcpus.length - 1}.`,
      );
    return found;
  }

  get vcpus(): readonly MachineVcpu[] {
    return this.#vcpus;
  }

  /**
   * Runs the vCPUs that have a program until what `until` says: several side by side, each on its own thread; one by
   * turns on this thread, which costs least. Other work of the process goes on meanwhile. An exit of another vCPU that
   * meets the end of the run is in the trace behind the one that ended it.
   *
   * @throws DeadlineError, with every vCPU's state, if it does not come in time; GuestFailureError if a guest cannot go
   *   on (and `until` did not wait for that exit); IoctlError (KVM_RUN)
   */
  async run(options: RunUntilOptions = {}): Promise<Trace> {
    const until = checkObject('options', options).until ?? 'halted';
    const done = untilExit(until);
    const limit = milliseconds(options.deadline ?? DEFAULT_DEADLINE);
    const running = this.#vcpus.filter(({ programmed }) => programmed).map(({ vcpu }) => vcpu);
    if (running.length === 0)
      throw new ArgumentError('run', 'No vCPU has a program', 'Call machine.vcpu(0).program(...) first.');
    const inTime =
      running.length === 1
        ? await this.#alone(running[0]!, until === 'halted', limit, done)
        : await this.#together(running, until === 'halted', limit, done);
    if (!inTime) throw this.#late(until, limit);
    return this.trace;
  }

  async #together(
    vcpus: readonly Vcpu[],
    untilHalted: boolean,
    limit: number,
    done: (event: TraceExit) => boolean,
  ): Promise<boolean> {
    try {
      return await runTogether(vcpus, {
        profile: this.profile,
        untilHalted,
        limit: Math.min(limit, runBudgetLeft()),
        exit: (vcpu, exit) => {
          if (done(this.#record(vcpu, exit))) return true;
          this.#refuseFailure(vcpu, exit);
          return false;
        },
        lateExit: (vcpu, exit) => void this.#record(vcpu, exit),
      });
    } catch (error) {
      if (!(error instanceof IoctlError) || error.ioctl !== 'KVM_RUN') throw error;
      const states = vcpus.map((vcpu) => reportVcpu(vcpu, this.memory)).join('\n');
      throw new IoctlError('KVM_RUN', error.errno, { what: states });
    }
  }

  async #alone(vcpu: Vcpu, untilHalted: boolean, limit: number, done: (event: TraceExit) => boolean): Promise<boolean> {
    const ends = performance.now() + limit;
    // Without an in-kernel LAPIC nothing but user space could wake a vCPU from HLT: it has left the guest.
    let left = false;
    for (;;) {
      const turn = left ? 'late' : this.#turn(vcpu, Math.min(performance.now() + SLICE, ends), done);
      if (turn === 'done') return true;
      if (turn === 'hlt') left = true;
      if (untilHalted && (left || vcpu.getMpState() === mpStates.KVM_MP_STATE_HALTED)) return true;
      if (performance.now() >= ends || runBudgetLeft() === 0) return false;
      await eventLoop();
    }
  }

  /** One vCPU's turn: until `ends`, its HLT exit, or the end of the run. */
  #turn(vcpu: Vcpu, ends: number, done: (event: TraceExit) => boolean): 'late' | 'hlt' | 'done' {
    for (;;) {
      const left = Math.min(ends - performance.now(), runBudgetLeft());
      if (left <= 0) return 'late';
      const outcome = vcpu.runRaw(left);
      if (outcome.kind === 'deadline') return 'late';
      if (outcome.kind === 'errno') {
        // EAGAIN: an AP has taken an INIT or a SIPI, and is to be entered again.
        if (outcome.name === 'EAGAIN') continue;
        throw new IoctlError('KVM_RUN', outcome.errno, { what: reportVcpu(vcpu, this.memory) });
      }
      const event = this.#record(vcpu, vcpu.exit(this.profile));
      if (done(event)) return 'done';
      if (event.exit.name === 'KVM_EXIT_HLT') return 'hlt';
      this.#refuseFailure(vcpu, event.exit);
    }
  }

  #record(vcpu: Vcpu, exit: Exit): TraceExit {
    const event: TraceExit = {
      seq: this.trace.length,
      ns: Number(process.hrtime.bigint() - this.#born),
      vcpu: vcpu.vcpuId,
      rip: vcpu.getRegs().rip,
      exit,
    };
    this.trace.record(event);
    context.observer.exit?.(event);
    return event;
  }

  #refuseFailure(vcpu: Vcpu, exit: Exit): void {
    const why = failures[exit.name];
    if (why) throw new GuestFailureError(`vCPU ${vcpu.vcpuId}: ${why}`, reportVcpu(vcpu, this.memory));
  }

  #late(until: Until, limit: number): DeadlineError {
    const spent = runBudgetLeft() === 0 ? 'the time that --timeout allows' : `${limit} ms`;
    const states = this.#vcpus.map(({ vcpu }) => reportVcpu(vcpu, this.memory));
    const last = [...this.trace].at(-1);
    return new DeadlineError(
      `The guest did not come to ${describeUntil(until)} within ${spent}; ${this.trace.length} exits until then`,
      [...states, ...(last ? [`last exit: ${describeEvent(last)}`] : [])].join('\n'),
      typeof until === 'function' || (until !== 'halted' && !('port' in until)),
    );
  }

  /** True if a LAPIC holds an ICR or ICR2 that a guest has written. Still known after `close()`. */
  get wroteIcr(): boolean {
    if (!this.vm.closed) this.#wroteIcr = this.#vcpus.some(({ vcpu }) => holdsIcr(vcpu));
    return this.#wroteIcr;
  }

  /** Ends the vCPUs, the VM, and this process' hold on the memory. */
  close(): void {
    void this.wroteIcr;
    try {
      this.vm.close();
    } finally {
      this.kvm.close();
      this.memory.close();
    }
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }
}

/** Both registers are 0 at reset. */
function holdsIcr(vcpu: Vcpu): boolean {
  try {
    const page = vcpu.getLapic();
    return readLapicRegister(page, 'ICR') !== 0 || readLapicRegister(page, 'ICR2') !== 0;
  } catch {
    return false; // no in-kernel LAPIC
  }
}

const failures: Partial<Record<Exit['name'], string>> = {
  KVM_EXIT_SHUTDOWN: 'triple fault (KVM_EXIT_SHUTDOWN)',
  KVM_EXIT_FAIL_ENTRY: 'the CPU refused the guest state (KVM_EXIT_FAIL_ENTRY)',
  KVM_EXIT_INTERNAL_ERROR: 'KVM could not go on (KVM_EXIT_INTERNAL_ERROR)',
};

/**
 * Makes a machine: memory from guest physical address 0, vCPUs 0, 1, ..., an irqchip.
 *
 * @throws what `Kvm.open` throws if there is no usable KVM here; ArgumentError
 */
export async function machine(options: MachineOptions = {}): Promise<Machine> {
  return new Machine(options);
}
