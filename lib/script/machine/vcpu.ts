/** A vCPU of a machine: its program, and what the host gives it. */
import { checkInteger } from '../../base/check.ts';
import { ArgumentError } from '../../base/errors.ts';
import type { Exit } from '../../exit/exit.ts';
import type { GuestCode } from '../../guest/code.ts';
import type { Synic } from '../../hyperv/synic.ts';
import { InterruptWindowError } from '../../kvm/vcpu/errors.ts';
import type { Vcpu } from '../../kvm/vcpu/vcpu.ts';
import { pendingExit } from '../../snapshot/machine-state.ts';
import type { Act } from '../../trace/event.ts';
import { checkProgram, isBehind, type LoadedProgram, load, type ProgramOptions, type ProgramSpace } from './program.ts';

export type { LoadedProgram, ProgramOptions } from './program.ts';

const VECTORS = 256;

/** What a vCPU needs of its machine. */
export interface Surroundings extends ProgramSpace {
  /** Puts it into the trace. */
  act(act: Act): void;
}

/** One vCPU of a machine. */
export class MachineVcpu {
  /** The vCPU itself, for what the kit has no method for. */
  readonly vcpu: Vcpu;
  /**
   * Whether its guest code runs in this process: false of the replicas that `kvm-dsm node` has for the vCPUs of other processes. What one
   * has in memory and has counted is known where it runs alone.
   */
  readonly runsHere: boolean;
  readonly #around: Surroundings;
  readonly #synic: Synic | null;
  #program: LoadedProgram | null = null;
  /** The vector whose handler tells the host, or all of them. */
  #told: number | 'all' | null = null;
  /** Vectors that the guest could not take yet. */
  #waiting: number[] = [];

  private constructor(vcpu: Vcpu, around: Surroundings, synic: Synic | null, runsHere: boolean) {
    this.vcpu = vcpu;
    this.runsHere = runsHere;
    this.#around = around;
    this.#synic = synic;
  }

  /** @internal The machine makes them. */
  static of(vcpu: Vcpu, around: Surroundings, synic: Synic | null, runsHere = true): MachineVcpu {
    return new MachineVcpu(vcpu, around, synic, runsHere);
  }

  /**
   * Its SynIC: `machine({ synic: 'keep' })`. The machine keeps it up to date with what the guest writes.
   *
   * @throws ArgumentError if the machine has none
   */
  get synic(): Synic {
    if (this.#synic) return this.#synic;
    throw new ArgumentError('synic', 'The machine has no SynIC', 'Make it so: machine({ synic: "keep" }).');
  }

  /** Whether it has one. */
  get hasSynic(): boolean {
    return this.#synic !== null;
  }

  /** @internal For the machine: hands an exit to what a hypervisor would answer it with. */
  hypervisorSees(exit: Exit): void {
    this.#synic?.see(exit);
  }

  /** @internal For the machine: gives the guest the oldest interrupt that waits, if it can take it. True if it has got one. */
  giveInterrupt(): boolean {
    const [vector] = this.#waiting;
    if (vector === undefined || !this.#give(vector)) return false;
    this.#waiting.shift();
    if (this.#waiting.length > 0) this.vcpu.requestInterruptWindow();
    return true;
  }

  /** Its vcpu_id, which is its APIC id as well. */
  get id(): number {
    return this.vcpu.vcpuId;
  }

  /** True once it has something to run. */
  get programmed(): boolean {
    return this.#program !== null;
  }

  /** What it has to run; `null` before `program()`. */
  get loaded(): LoadedProgram | null {
    return this.#program;
  }

  /** True of a RIP behind its program, where the code stands that tells of it; in real mode an offset in CS. */
  isPastEnd(rip: bigint): boolean {
    return this.#program !== null && isBehind(rip, this.#program, this.entry);
  }

  /** Guest physical address of its program: 0x1000 for vCPU 0, 0x11000 for vCPU 1, ... Its stack grows down from there. */
  get entry(): number {
    return this.#around.layout.program(this.id);
  }

  /**
   * The vector of the SIPI that starts its program.
   *
   * @throws ArgumentError if it has no program that starts so
   */
  get sipiVector(): number {
    if (this.#program?.start !== 'sipi')
      throw new ArgumentError('sipiVector', `vCPU ${this.id} has no program that starts by SIPI`, startBySipi);
    return (this.#program.mode === 'real16' ? this.entry : this.#around.layout.trampoline(this.id)) >> 12;
  }

  /**
   * Loads guest code and points the vCPU at it, in the mode that the code is for: flat32 (raw bytes, too), long64 with
   * the first 4 GiB mapped one to one, or real16 with CS, DS, ES, FS and GS at the code, and IP 0. The machine's
   * handlers stand behind every vector: an interrupt is counted (`interrupts`) and gets its EOI, an exception ends the
   * run with a GuestFaultError. A vCPU without a program stays as it is after reset: an AP waits for INIT and SIPI.
   *
   * @param code from `asm`, assembled for the vCPU's `entry`; from `flat32(...)`; or raw machine code
   * @throws PayloadError if it is empty, larger than 52 KiB or a file of another kind; AsmError if it cannot lie there; ArgumentError;
   *   PendingExitError if the program before it has made an exit that no run has seen yet, which lies in the vCPU's
   *   kvm_run then
   */
  program(code: GuestCode | Uint8Array, options: ProgramOptions = {}): this {
    const program = checkProgram(this.id, this.#around, code, options);
    if (!this.runsHere) {
      this.#program = program;
      return this;
    }
    // What KVM has left to do of the last exit it would do to the new program: skip its first instruction, say.
    if (this.#program && this.vcpu.settle()) throw pendingExit(this.vcpu);
    load(this.vcpu, this.#around, program);
    this.#waiting = [];
    this.vcpu.requestInterruptWindow(false);
    this.#program = program;
    return this;
  }

  /** How often the machine's handler of each vector ran on this vCPU, an NMI's as vector 2; only the vectors that came. */
  get interrupts(): Map<number, number> {
    const { memory, layout } = this.#around;
    const counters = new Uint32Array(memory.read(layout.counters(this.id), 256 * 4).buffer);
    return new Map([...counters].flatMap((count, vector) => (count > 0 ? [[vector, count] as const] : [])));
  }

  /** Guest physical address of the IDT that the machine makes for it; in real mode the table lies at 0. */
  get idtBase(): bigint {
    return this.#program?.mode === 'real16' ? 0n : BigInt(this.#around.layout.idt(this.id));
  }

  /** Why no handler of the machine counts a vector on it; `undefined` if one does, as far as its program says. */
  uncounted(vector: number): string | undefined {
    return uncountedBy(this.#program, vector);
  }

  /** @internal For the machine: lets the handler of this vector, and of no other one, tell the host each time that it has run; or each handler. */
  tellsOf(which: number | 'all' | null): void {
    if (this.#told === which) return;
    const { memory, layout } = this.#around;
    const flag = (of: number | 'all', value: number) => {
      const bytes = new Uint8Array(of === 'all' ? VECTORS : 1).fill(value);
      memory.write(layout.told(this.id) + (of === 'all' ? 0 : of), bytes);
    };
    if (this.#told !== null) flag(this.#told, 0);
    if (which !== null) flag(which, 1);
    this.#told = which;
  }

  /**
   * Guest physical address of a vector's counter, 32 bits, an NMI's as vector 2: a guest that sends an interrupt can wait here until it ran.
   */
  counterAddress(vector: number): number {
    return this.#around.layout.counters(this.id) + checkInteger('vector', vector, 0, 255) * 4;
  }

  /** KVM_NMI, in the trace. Throws VcpuBusyError while the machine runs. */
  nmi(): void {
    this.vcpu.nmi();
    this.#around.act({ act: 'injection', ioctl: 'KVM_NMI', vcpu: this.id });
  }

  /**
   * KVM_INTERRUPT, in the trace: for machines without an in-kernel PIC. Where the guest cannot take it now (RFLAGS.IF is 0,
   * an interrupt shadow, another that waits), the machine waits for KVM_EXIT_IRQ_WINDOW_OPEN and gives it then, in the order
   * of the calls; another `program()` forgets it.
   *
   * @returns true if the guest has got it now, false if it waits
   * @throws VcpuBusyError while the machine runs; ArgumentError; IoctlError (KVM_INTERRUPT)
   */
  interrupt(vector: number): boolean {
    checkInteger('vector', vector, 0, 255);
    if (this.#waiting.length === 0 && this.#give(vector)) return true;
    this.vcpu.requestInterruptWindow();
    this.#waiting.push(vector);
    return false;
  }

  #give(vector: number): boolean {
    try {
      this.vcpu.interrupt(vector);
    } catch (error) {
      if (error instanceof InterruptWindowError) return false;
      throw error;
    }
    this.#around.act({ act: 'injection', ioctl: 'KVM_INTERRUPT', vcpu: this.id, vector });
    return true;
  }

  /** Takes it out of the guest once while the machine runs, and lets it go on. Nothing happens otherwise. */
  async kick(): Promise<void> {
    const { thread } = this.vcpu;
    if (!thread?.alive) return;
    this.#around.act({ act: 'kick', vcpu: this.id });
    await thread.kick();
  }
}

/** Why no handler of the machine counts a vector while such a program runs. */
export function uncountedBy(program: LoadedProgram | null, vector: number): string | undefined {
  if (program?.own.has(vector)) return 'its program handles that vector itself, and no counter tells of it';
  return program?.mode === 'real16' ? 'in real mode no handler of the machine counts' : undefined;
}

const startBySipi = 'Give it one: machine.vcpu(1).program(code, { start: "sipi" }).';
