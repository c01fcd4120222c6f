/** Guest code in a vCPU's part of memory, and the vCPU at its begin. */
import { vectorIn } from '../../abi/exceptions.ts';
import { mpStates } from '../../abi/kvm/index.ts';
import { checkBytes, checkInteger, checkObject } from '../../base/check.ts';
import { ArgumentError } from '../../base/errors.ts';
import { boolean, oneOf, optional, shape } from '../../base/shape.ts';
import { show } from '../../base/text.ts';
import { bitsOf, bytesAt, type GuestCode, type GuestMode } from '../../guest/code.ts';
import { END_GUARD_SIZE, endGuard } from '../../guest/end-guard.ts';
import { enterFlat32 } from '../../guest/enter-flat32.ts';
import { enterLong64 } from '../../guest/enter-long64.ts';
import { enterReal16 } from '../../guest/enter-real16.ts';
import type { TableRegister } from '../../guest/entry.ts';
import { PayloadError } from '../../guest/errors.ts';
import { formatOf } from '../../guest/formats.ts';
import { type GuestLayout, PROGRAM, PROGRAM_ROOM } from '../../guest/layout.ts';
import type { GuestTableWriter, OwnHandlers } from '../../guest/tables.ts';
import { trampoline } from '../../guest/trampoline.ts';
import type { GuestMemory } from '../../kvm/guest-memory.ts';
import type { Vcpu } from '../../kvm/vcpu/vcpu.ts';

/** What `vcpu.program()` takes beside the code. */
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

/** What a vCPU was given to run. */
export interface LoadedProgram {
  /** As it was given. */
  readonly code: GuestCode | Uint8Array;
  /** In which the vCPU starts: `real16`, `flat32` or `long64`. */
  readonly mode: GuestMode;
  /** The instructions as they lie in guest memory. */
  readonly bytes: Uint8Array;
  /** It starts with RFLAGS.IF set. */
  readonly interrupts: boolean;
  /** The machine has made an IDT for it, so that faults are told; without it a fault is a triple fault. */
  readonly idt: boolean;
  /** At the first run, or when another vCPU has sent INIT and SIPI. */
  readonly start: 'now' | 'sipi';
  /** The handlers of its own that the program asked for: the guest address of each, by vector. */
  readonly own: ReadonlyMap<number, number>;
}

/** What of its machine a program is loaded into. */
export interface ProgramSpace {
  readonly memory: GuestMemory;
  readonly layout: GuestLayout;
  readonly tables: GuestTableWriter;
  readonly hasLapic: boolean;
}

const programOptions = shape<ProgramOptions>('program() takes', {
  interrupts: optional(boolean),
  handlers: optional((argument, value) => checkObject(argument, value as NonNullable<ProgramOptions['handlers']>)),
  idt: optional(boolean),
  start: optional(oneOf(['now', 'sipi'])),
});

/** True of a RIP in the code that stands behind a program, or at its end. Real mode counts from CS; code may leave it. */
export function isBehind(rip: bigint, { mode, bytes }: LoadedProgram, entry: number): boolean {
  const begins = mode === 'real16' ? [0, entry] : [entry];
  return begins.some((begin) => {
    const end = BigInt(begin + bytes.length);
    return rip >= end && rip <= end + BigInt(END_GUARD_SIZE);
  });
}

/** SIPI gives 8 bits of page number: code of these vCPUs lies low enough. */
const REAL_MODE_VCPUS = 16;

/**
 * Checks a program for the vCPU with this id, and changes nothing.
 *
 * @throws what `MachineVcpu.program` throws
 */
export function checkProgram(
  id: number,
  { layout, hasLapic }: ProgramSpace,
  code: GuestCode | Uint8Array,
  options: ProgramOptions,
): LoadedProgram {
  const given = programOptions.take(options);
  const { idt = true, start = 'now' } = given;
  const mode = code instanceof Uint8Array ? 'flat32' : checkObject('code', code).mode;
  bitsOf(mode);
  if (mode === 'real16' || start === 'sipi') checkLow(id, mode, start, hasLapic);
  const origin = mode === 'real16' ? 0 : layout.program(id);
  const bytes = bytesAt(code, origin);
  checkBytes('code', bytes, 0, Number.POSITIVE_INFINITY);
  if (bytes.length === 0) throw PayloadError.empty();
  const format = code instanceof Uint8Array ? formatOf(bytes) : undefined;
  if (format) throw PayloadError.format(format);
  if (bytes.length > PROGRAM_ROOM) throw PayloadError.tooLarge(bytes.length, PROGRAM_ROOM);
  const interrupts = given.interrupts ?? mode !== 'real16';
  return { code, mode, bytes, interrupts, idt, start, own: ownHandlers(code, origin, given.handlers ?? {}) };
}

function checkLow(id: number, mode: GuestMode, start: 'now' | 'sipi', hasLapic: boolean): void {
  const what = start === 'sipi' ? 'start by SIPI' : `run ${mode} code`;
  const refuse = (why: string, advice: string) =>
    new ArgumentError('code', `vCPU ${id} cannot ${what}: ${why}`, advice);
  if (id >= REAL_MODE_VCPUS)
    throw refuse('its memory lies above 1 MiB', `Use one of the vCPUs 0 to ${REAL_MODE_VCPUS - 1}.`);
  if (start !== 'sipi') return;
  if (id === 0) throw refuse('it is the boot CPU, which INIT sends to the reset vector', 'Start vCPU 1 so.');
  if (!hasLapic) throw refuse('the machine has no in-kernel local APIC', 'Leave `irqchip: "none"` out.');
}

function ownHandlers(
  code: GuestCode | Uint8Array,
  origin: number,
  handlers: Readonly<Record<number | string, string | number>>,
): OwnHandlers {
  const own = new Map<number, number>();
  for (const [key, where] of Object.entries(handlers)) {
    const vector = vectorIn('handlers', /^\d+$/.test(key) ? Number(key) : key);
    own.set(
      vector,
      typeof where === 'string' ? label(code, origin, where) : checkInteger('handlers', where, 0, 0xffff_ffff),
    );
  }
  return own;
}

function label(code: GuestCode | Uint8Array, origin: number, name: string): number {
  const placed = code instanceof Uint8Array ? code : code.at?.(origin);
  if (placed && 'label' in placed && typeof placed.label === 'function') return Number(placed.label(name));
  throw new ArgumentError('handlers', `The code has no label ${show(name)}`, 'Write it with asm, or give the address.');
}

/** Writes the program and what it needs into memory, and the vCPU's registers. */
export function load(vcpu: Vcpu, space: ProgramSpace, program: LoadedProgram): void {
  const { memory, layout, tables } = space;
  const { mode, interrupts, start, own } = program;
  const id = vcpu.vcpuId;
  const entry = layout.program(id);
  memory.write(entry, program.bytes);
  memory.write(entry + program.bytes.length, endGuard(mode));
  tables.prepare(mode);
  const idt = program.idt ? tables.writeIdt(mode, id, own, entry >> 4) : { base: 0n, limit: 0 };
  if (start === 'sipi') waitForSipi(vcpu, space, mode, idt, interrupts);
  else enter(vcpu, space, mode, idt, interrupts);
}

function enter(vcpu: Vcpu, { layout, tables }: ProgramSpace, mode: GuestMode, idt: TableRegister, interrupts: boolean) {
  const entry = layout.program(vcpu.vcpuId);
  const at = { rip: entry, rsp: entry, interrupts, tables: { gdt: tables.gdt, idt } };
  if (mode === 'real16')
    enterReal16(vcpu, { rip: entry, rsp: PROGRAM, ss: (entry - PROGRAM) >> 4, ds: entry >> 4, interrupts });
  else if (mode === 'flat32') enterFlat32(vcpu, at);
  else enterLong64(vcpu, { ...at, cr3: layout.pageTables });
  vcpu.setMpState(mpStates.KVM_MP_STATE_RUNNABLE);
}

function waitForSipi(vcpu: Vcpu, space: ProgramSpace, mode: GuestMode, idt: TableRegister, interrupts: boolean) {
  const { layout, memory, tables } = space;
  if (mode !== 'real16') {
    const entry = layout.program(vcpu.vcpuId);
    const page = layout.trampoline(vcpu.vcpuId);
    const to = { mode, gdt: tables.gdt, idt, cr3: layout.pageTables, rip: entry, rsp: entry, interrupts };
    memory.write(page, trampoline(page, to));
  }
  vcpu.setMpState(mpStates.KVM_MP_STATE_UNINITIALIZED);
}
