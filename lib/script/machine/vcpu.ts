import { vectorIn } from '../../abi/exceptions.ts';
import { mpStates } from '../../abi/kvm/index.ts';
import { checkBytes, checkInteger, checkObject } from '../../base/check.ts';
import { ArgumentError } from '../../base/errors.ts';
import { show } from '../../base/text.ts';
import type { Exit } from '../../exit/decode.ts';
import { bitsOf, bytesAt, type GuestCode, type GuestMode } from '../../guest/code.ts';
import { enterFlat32 } from '../../guest/enter-flat32.ts';
import { enterLong64 } from '../../guest/enter-long64.ts';
import { enterReal16 } from '../../guest/enter-real16.ts';
import type { TableRegister } from '../../guest/entry.ts';
import { PayloadError } from '../../guest/errors.ts';
import { type GuestLayout, PROGRAM, PROGRAM_ROOM } from '../../guest/layout.ts';
import type { GuestTableWriter, OwnHandlers } from '../../guest/tables.ts';
import { trampoline } from '../../guest/trampoline.ts';
import type { Synic } from '../../hyperv/synic.ts';
import type { GuestMemory } from '../../kvm/guest-memory.ts';
import type { Vcpu } from '../../kvm/vcpu/vcpu.ts';
import { pendingExit } from '../../snapshot/machine-state.ts';
import type { NewAct } from '../../trace/event.ts';

export interface ProgramOptions {
  /** Start with RFLAGS.IF set. Default true, but false in real mode. */
  interrupts?: boolean;
  /**
   * The program's own handlers: by vector, or by an exception's name, the label (or the address) of each. Such a handler
   * does all of its work: EOI, IRET. The other vectors keep the machine's handlers.
   */
  handlers?: Readonly<Record<number | string, string | number>>;
  /** False: an empty IDT, so that every vector is a triple fault until the program loads its own. Default true. */
  idt?: boolean;
  /** `now` (default): at the program, as soon as the machine runs. `sipi`: it waits for INIT and SIPI, at `sipiVector`. */
  start?: 'now' | 'sipi';
}

/** What a vCPU needs of its machine. */
export interface Surroundings {
  readonly memory: GuestMemory;
  readonly layout: GuestLayout;
  readonly tables: GuestTableWriter;
  readonly hasLapic: boolean;
  /** Puts it into the trace. */
  act(act: NewAct): void;
}

/** What a vCPU was given to run. */
export interface LoadedProgram {
  readonly code: GuestCode | Uint8Array;
  readonly mode: GuestMode;
  readonly bytes: Uint8Array;
  readonly idt: boolean;
  readonly start: 'now' | 'sipi';
  readonly own: OwnHandlers;
}

/** SIPI gives 8 bits of page number: code of these vCPUs lies low enough. */
const REAL_MODE_VCPUS = 16;

/** One vCPU of a machine. */
export class MachineVcpu {
  readonly vcpu: Vcpu;
  readonly #around: Surroundings;
  readonly #synic: Synic | null;
  #program: LoadedProgram | null = null;

  constructor(vcpu: Vcpu, around: Surroundings, synic: Synic | null) {
    this.vcpu = vcpu;
    this.#around = around;
    this.#synic = synic;
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

  /** What a hypervisor takes notice of: for the machine. */
  hypervisorSees(exit: Exit): void {
    this.#synic?.see(exit);
  }

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
   * the first 4 GiB mapped one to one, or real16 with CS at the code, the other segments 0, and IP 0. The machine's
   * handlers stand behind every vector: an interrupt is counted (`interrupts`) and gets its EOI, an exception ends the
   * run with a GuestFaultError. A vCPU without a program stays as it is after reset: an AP waits for INIT and SIPI.
   *
   * @param code from `asm`, assembled for the vCPU's `entry`; from `flat32(...)`; or raw machine code
   * @throws PayloadError if it is empty or larger than 52 KiB; AsmError if it cannot lie there; ArgumentError;
   *   PendingExitError if the program before it has made an exit that no run has seen yet, which lies in the vCPU's
   *   kvm_run then
   */
  program(code: GuestCode | Uint8Array, options: ProgramOptions = {}): this {
    const { idt = true, start = 'now' } = checkObject('options', options);
    const mode = code instanceof Uint8Array ? 'flat32' : checkObject('code', code).mode;
    bitsOf(mode);
    if (mode === 'real16' || start === 'sipi') this.#checkLow(mode, start);
    const { entry } = this;
    const bytes = bytesAt(code, mode === 'real16' ? 0 : entry);
    checkBytes('code', bytes, 0, Number.POSITIVE_INFINITY);
    if (bytes.length === 0) throw PayloadError.empty();
    if (bytes.length > PROGRAM_ROOM) throw PayloadError.tooLarge(bytes.length, PROGRAM_ROOM);
    const own = this.#ownHandlers(code, mode, options.handlers ?? {});
    // What KVM has left to do of the last exit it would do to the new program: skip its first instruction, say.
    if (this.#program && this.vcpu.settle()) throw pendingExit(this.vcpu);
    const { memory, tables } = this.#around;
    memory.write(entry, bytes);
    tables.prepare(mode);
    const table = idt ? tables.writeIdt(mode, this.id, own, entry >> 4) : { base: 0n, limit: 0 };
    const interrupts = options.interrupts ?? mode !== 'real16';
    if (start === 'sipi') this.#waitForSipi(mode, table, interrupts);
    else this.#enter(mode, table, interrupts);
    this.#program = { code, mode, bytes, idt, start, own };
    return this;
  }

  #checkLow(mode: GuestMode, start: 'now' | 'sipi'): void {
    const what = start === 'sipi' ? 'start by SIPI' : `run ${mode} code`;
    const refuse = (why: string, advice: string) =>
      new ArgumentError('code', `vCPU ${this.id} cannot ${what}: ${why}`, advice);
    if (this.id >= REAL_MODE_VCPUS)
      throw refuse('its memory lies above 1 MiB', `Use one of the vCPUs 0 to ${REAL_MODE_VCPUS - 1}.`);
    if (start !== 'sipi') return;
    if (this.id === 0) throw refuse('it is the boot CPU, which INIT sends to the reset vector', 'Start vCPU 1 so.');
    if (!this.#around.hasLapic) throw refuse('the machine has no in-kernel local APIC', 'Leave `irqchip: "none"` out.');
  }

  #ownHandlers(
    code: GuestCode | Uint8Array,
    mode: GuestMode,
    handlers: Readonly<Record<number | string, string | number>>,
  ): OwnHandlers {
    const own = new Map<number, number>();
    for (const [key, where] of Object.entries(checkObject('handlers', handlers))) {
      const vector = vectorIn('handlers', /^\d+$/.test(key) ? Number(key) : key);
      own.set(
        vector,
        typeof where === 'string' ? this.#label(code, mode, where) : checkInteger('handlers', where, 0, 0xffff_ffff),
      );
    }
    return own;
  }

  #label(code: GuestCode | Uint8Array, mode: GuestMode, name: string): number {
    const placed = code instanceof Uint8Array ? code : code.at?.(mode === 'real16' ? 0 : this.entry);
    if (placed && 'label' in placed && typeof placed.label === 'function') return Number(placed.label(name));
    throw new ArgumentError(
      'handlers',
      `The code has no label ${show(name)}`,
      'Write it with asm, or give the address.',
    );
  }

  #enter(mode: GuestMode, idt: TableRegister, interrupts: boolean): void {
    const { vcpu, entry } = this;
    const {
      layout,
      tables: { gdt },
    } = this.#around;
    const at = { rip: entry, rsp: entry, interrupts, tables: { gdt, idt } };
    if (mode === 'real16') enterReal16(vcpu, { rip: entry, rsp: PROGRAM, ss: (entry - PROGRAM) >> 4, interrupts });
    else if (mode === 'flat32') enterFlat32(vcpu, at);
    else enterLong64(vcpu, { ...at, cr3: layout.pageTables });
    vcpu.setMpState(mpStates.KVM_MP_STATE_RUNNABLE);
  }

  #waitForSipi(mode: GuestMode, idt: TableRegister, interrupts: boolean): void {
    const { entry } = this;
    const { layout, memory, tables } = this.#around;
    const page = layout.trampoline(this.id);
    if (mode !== 'real16') {
      const to = { mode, gdt: tables.gdt, idt, cr3: layout.pageTables, rip: entry, rsp: entry, interrupts };
      memory.write(page, trampoline(page, to));
    }
    this.vcpu.setMpState(mpStates.KVM_MP_STATE_UNINITIALIZED);
  }

  /** How often the machine's handler of each vector ran on this vCPU; only the vectors that came. */
  get interrupts(): Map<number, number> {
    const { memory, layout } = this.#around;
    const counters = new Uint32Array(memory.read(layout.counters(this.id), 256 * 4).buffer);
    return new Map([...counters].flatMap((count, vector) => (count > 0 ? [[vector, count] as const] : [])));
  }

  /**
   * Guest physical address of a vector's counter, 32 bits: a guest that sends an interrupt can wait here until it ran.
   */
  counterAddress(vector: number): number {
    return this.#around.layout.counters(this.id) + checkInteger('vector', vector, 0, 255) * 4;
  }

  /** KVM_NMI, in the trace. Throws VcpuBusyError while the machine runs. */
  nmi(): void {
    this.vcpu.nmi();
    this.#around.act({ act: 'injection', ioctl: 'KVM_NMI', vcpu: this.id, detail: 'NMI' });
  }

  /** KVM_INTERRUPT, in the trace: for machines without an in-kernel PIC. Throws VcpuBusyError while the machine runs. */
  interrupt(vector: number): void {
    this.vcpu.interrupt(vector);
    this.#around.act({
      act: 'injection',
      ioctl: 'KVM_INTERRUPT',
      vcpu: this.id,
      detail: `vector 0x${vector.toString(16)}`,
    });
  }

  /** Takes it out of the guest once while the machine runs, and lets it go on. Nothing happens otherwise. */
  async kick(): Promise<void> {
    const { thread } = this.vcpu;
    if (!thread?.alive) return;
    this.#around.act({ act: 'kick', vcpu: this.id, detail: 'out of the guest and in again' });
    await thread.kick();
  }
}

const startBySipi = 'Give it one: machine.vcpu(1).program(code, { start: "sipi" }).';
