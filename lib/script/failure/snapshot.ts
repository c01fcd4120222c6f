/** What a machine was like when something failed: plain data, taken at once, so that a report can be made of it later. */
import { decodeLapic, type Lapic } from '../../abi/apic/lapic.ts';
import type { KvmRegs, KvmSregs } from '../../abi/kvm/index.ts';
import { type ApicView, apicView } from '../../apic/destination.ts';
import type { GuestMode } from '../../guest/code.ts';
import type { GuestFault } from '../../guest/fault.ts';
import type { GuestMemory } from '../../kvm/guest-memory.ts';
import type { Vcpu } from '../../kvm/vcpu/vcpu.ts';
import type { MappedSlot } from '../../kvm/vm/memory.ts';
import type { DeliveryTarget } from '../../picture/target.ts';
import type { TraceEvent } from '../../trace/event.ts';
import type { MachineVcpu } from '../machine/vcpu.ts';
import { type CodeWindow, readCode } from './code.ts';

export interface LapicSnapshot extends Lapic {
  /** Its id and its mode. */
  readonly view: ApicView;
}

/** What the ioctls of one vCPU gave. */
export interface CpuSnapshot {
  /** Of a vCPU that told of a fault: as they were when it happened. */
  readonly regs: KvmRegs;
  readonly sregs: KvmSregs;
  readonly mode: GuestMode;
  readonly mpState: number;
  /** `null` without an in-kernel LAPIC. */
  readonly lapic: LapicSnapshot | null;
  readonly code: CodeWindow;
}

/** What a vCPU was given to run. */
export interface ProgramSnapshot {
  readonly mode: GuestMode;
  /** RIP of its first byte. */
  readonly begin: bigint;
  readonly bytes: Uint8Array;
  readonly idt: boolean;
  readonly start: 'now' | 'sipi';
  /** The vectors that it handles itself. */
  readonly own: ReadonlySet<number>;
  /** Where the machine's IDT for it is. */
  readonly idtBase: bigint;
  readonly labels: ReadonlyMap<string, bigint>;
}

export interface VcpuSnapshot {
  /** vcpu_id. */
  readonly id: number;
  readonly program: ProgramSnapshot | null;
  /** A sentence where there is no state: it runs, it is closed. */
  readonly cpu: CpuSnapshot | string;
  /** How often the machine's handler of each vector ran. */
  readonly counters: ReadonlyMap<number, number>;
  /** RIP at the last times that it was out of the guest while it ran, the oldest first. */
  readonly samples: readonly bigint[];
  /** As a destination of IPIs. None: its local APIC cannot be asked. */
  readonly target?: DeliveryTarget;
}

export interface Snapshot {
  /** None: nothing is known of them, and `note` says why. */
  readonly vcpus: readonly VcpuSnapshot[];
  readonly note?: string;
  readonly events: readonly TraceEvent[];
  /** How many between its begin and its end are not among them. */
  readonly omitted?: number;
  /** CLOCK_MONOTONIC in ns: when the machine was made, and when this was taken. */
  readonly during?: { readonly from: bigint; readonly to: bigint };
}

/** Of a trace that is longer than both together, its begin and its end. */
const BEGIN = 10_000;
const END = 190_000;

/** What a trace has for a snapshot. */
export function eventsOf(trace: {
  readonly size: number;
  event(index: number): TraceEvent;
}): Pick<Snapshot, 'events' | 'omitted'> {
  const { size } = trace;
  const omitted = Math.max(0, size - BEGIN - END);
  const events = Array.from({ length: size - omitted }, (_, at) =>
    trace.event(omitted > 0 && at >= BEGIN ? at + omitted : at),
  );
  return omitted > 0 ? { events, omitted } : { events };
}

/** What there is to know of one vCPU. A vCPU that cannot be asked is no failure. */
export function snapshotVcpu(
  one: MachineVcpu,
  memory: GuestMemory,
  slots: readonly MappedSlot[],
  samples: readonly bigint[] = [],
  fault?: GuestFault,
): VcpuSnapshot {
  return {
    id: one.id,
    program: programOf(one),
    cpu: orWhy(() => cpuOf(one.vcpu, slots, programOf(one), fault)),
    counters: memoryIsOpen(memory) ? one.interrupts : new Map(),
    samples: [...samples],
  };
}

function memoryIsOpen(memory: GuestMemory): boolean {
  try {
    return memory.native !== null;
  } catch {
    return false;
  }
}

function orWhy<T>(ask: () => T): T | string {
  try {
    return ask();
  } catch (error) {
    return (error as Error).message;
  }
}

function programOf({ loaded, entry, idtBase }: MachineVcpu): ProgramSnapshot | null {
  if (!loaded) return null;
  const { code, mode, bytes, idt, start, own } = loaded;
  const begin = mode === 'real16' ? 0n : BigInt(entry);
  const placed = code instanceof Uint8Array ? code : (code.at?.(begin) ?? code);
  const labels =
    'labels' in placed && placed.labels instanceof Map ? (placed.labels as Map<string, bigint>) : new Map();
  return { mode, begin, bytes, idt, start, own: new Set(own.keys()), idtBase, labels };
}

function cpuOf(
  vcpu: Vcpu,
  slots: readonly MappedSlot[],
  program: ProgramSnapshot | null,
  fault: GuestFault | undefined,
): CpuSnapshot {
  let regs = vcpu.getRegs();
  let sregs = vcpu.getSregs();
  const mode = modeOf(sregs);
  if (fault) {
    const base = mode === 'real16' ? BigInt(fault.cs << 4) : 0n;
    const { rflags, rsp, rax } = fault;
    regs = { ...regs, rip: fault.rip - base, rflags, rsp, rax };
    if (mode === 'real16') sregs = { ...sregs, cs: { ...sregs.cs, base, selector: fault.cs } };
  }
  const lapic = lapicOf(vcpu, sregs.apicBase);
  const code = readCode(vcpu, slots, { rip: regs.rip, sregs, program });
  return { regs, sregs, mode, mpState: vcpu.getMpState(), lapic, code };
}

/** The code around an address, as its vCPU reads it now; undefined if the vCPU cannot be asked. */
export function codeOf(
  one: MachineVcpu,
  slots: readonly MappedSlot[],
  rip: bigint,
): { mode: GuestMode; window: CodeWindow } | undefined {
  try {
    const sregs = one.vcpu.getSregs();
    return { mode: modeOf(sregs), window: readCode(one.vcpu, slots, { rip, sregs, program: programOf(one) }) };
  } catch {
    return undefined;
  }
}

/** On AMD KVM brings the vCPU to the state after INIT before it tells of the shutdown. */
export function isReset({ sregs, regs }: CpuSnapshot): boolean {
  return regs.rip === 0xfff0n && sregs.cs.base === 0xffff_0000n;
}

/** How the CPU reads the code at RIP. */
function modeOf({ cr0, cs }: KvmSregs): GuestMode {
  if ((cr0 & 1n) === 0n) return 'real16';
  if (cs.l) return 'long64';
  return cs.db ? 'flat32' : 'real16';
}

function lapicOf(vcpu: Vcpu, apicBase: bigint): LapicSnapshot | null {
  let page: Uint8Array;
  try {
    page = vcpu.getLapic();
  } catch {
    return null; // no in-kernel LAPIC
  }
  const lapic = decodeLapic(page);
  return { ...lapic, view: apicView(vcpu.vcpuId, lapic, apicBase) };
}
