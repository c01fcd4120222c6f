/** A VM whose vCPUs are brought from one scene to the next, and the whole of whose state can be compared. */
import { type LapicRegisterName, lapicRegisters } from '../../../abi/apic/lapic.ts';
import {
  type KvmRegs,
  type KvmSregs,
  type KvmVcpuEvents,
  kvmMpState,
  kvmRegs,
  kvmSregs,
  kvmVcpuEvents,
  mpStates,
} from '../../../abi/kvm/index.ts';
import { ioctls } from '../../../abi/kvm/ioctl.ts';
import { apicvParameter } from '../../../host/apicv-parameter.ts';
import type { Cpuid } from '../../../kvm/cpuid.ts';
import { showTscDeadline } from '../../../kvm/cpuid.ts';
import { GuestMemory } from '../../../kvm/guest-memory.ts';
import type { Vcpu } from '../../../kvm/vcpu/vcpu.ts';
import { smmSlot, TSS_ADDRESS, type Vm } from '../../../kvm/vm/vm.ts';
import { inhibitApicv } from '../../../probe/inhibit-apicv.ts';
import type { CheckContext } from '../../kit/context.ts';
import { intruderCode } from './intruder-code.ts';
import { COUNTERS, INTRUDER, MEMORY_SIZE, pdpt, tables } from './layout.ts';

export interface BedOptions {
  /** vcpu_id of each vCPU. Default 0 to 3. */
  ids?: readonly number[];
  irqchip?: 'full' | 'split';
  /** Of a new VM, before its first vCPU. */
  vm?: (vm: Vm) => void;
  /** Of the VM, when it has its interrupt controllers and its memory, and no vCPU. */
  made?: (ctx: CheckContext, vm: Vm) => void;
  /** What its vCPUs show: all that KVM can do, that without KVM's own leaves or with Hyper-V's, or nothing. Default `all`. */
  cpuid?: 'all' | 'bare' | 'none' | 'hyperv';
  /** So many times its second vCPU has written ICR2 and ICR before the first scene; an eighth where guests are slow, and twice as many with `--thorough`. */
  worn?: number;
  /** Of each vCPU, when it is there. */
  vcpu?: (vcpu: Vcpu) => void;
  /** Its second vCPU has taken interrupts, NMIs and signals, and has halted, before the first scene. */
  lived?: boolean;
  /** Of the memory's slot. */
  logDirtyPages?: boolean;
}

/** What is compared of a vCPU, as the kernel gives it; in the order in which it can be set. */
const parts = {
  mp: { get: ioctls.KVM_GET_MP_STATE, set: ioctls.KVM_SET_MP_STATE, size: kvmMpState.size },
  sregs: { get: ioctls.KVM_GET_SREGS, set: ioctls.KVM_SET_SREGS, size: kvmSregs.size },
  regs: { get: ioctls.KVM_GET_REGS, set: ioctls.KVM_SET_REGS, size: kvmRegs.size },
  lapic: { get: ioctls.KVM_GET_LAPIC, set: ioctls.KVM_SET_LAPIC, size: 1024 },
  events: { get: ioctls.KVM_GET_VCPU_EVENTS, set: ioctls.KVM_SET_VCPU_EVENTS, size: kvmVcpuEvents.size },
} as const;
export type Part = keyof typeof parts;
export const partNames = Object.keys(parts) as Part[];
export type VcpuState = Record<Part, Buffer>;

/** An id that no check gives to a vCPU of its own, for the one that keeps APICv away. */
const PARKED = 254;
/** Of kvm_run, what an exit may write: its head and its union. */
const RUN_BYTES = 288;

/** What ICR2 holds before the first write, and no write brings. */
const FIRST_ICR2 = 0x6b00_0000;

/** The leaf of the hypervisor's interface, and what Hyper-V's says. Source: Hyper-V TLFS, 2.4 */
const INTERFACE = 0x4000_0001;
const HYPERV = 0x3123_7648;

const isHypervisors = (leaf: number) => leaf >= 0x4000_0000 && leaf < 0x5000_0000;

function ask(vcpu: Vcpu, part: Part): Buffer {
  const bytes = Buffer.alloc(parts[part].size);
  vcpu.ioctlRaw(parts[part].get, bytes);
  return bytes;
}

function remembered<T>(known: WeakMap<Buffer, T>, bytes: Buffer, decode: (bytes: Buffer) => T): T {
  const one = known.get(bytes) ?? decode(bytes);
  known.set(bytes, one);
  return one;
}

export class Bed {
  readonly vm: Vm;
  readonly memory: GuestMemory;
  readonly vcpus: readonly Vcpu[];
  readonly irqchip: 'full' | 'split';
  /** Its second vCPU has written often, or has lived. */
  readonly past: boolean;
  /** Of each vCPU: what every scene begins with. */
  readonly plain: readonly VcpuState[];
  /** Of each vCPU: what it has now. */
  readonly now: VcpuState[];
  readonly #leaves: Cpuid;
  readonly #sregs = new WeakMap<Buffer, KvmSregs>();
  readonly #events = new WeakMap<Buffer, KvmVcpuEvents>();
  readonly #regs = new WeakMap<Buffer, KvmRegs>();

  constructor(ctx: CheckContext, options: BedOptions = {}) {
    const { ids = [0, 1, 2, 3], irqchip = 'full', vm, made, cpuid = 'all', logDirtyPages, vcpu } = options;
    const { worn = 0, lived = false } = options;
    this.irqchip = irqchip;
    this.past = lived || worn > 0;
    this.memory = ctx.own(GuestMemory.allocate(MEMORY_SIZE));
    const kvm = ctx.kvm();
    this.#leaves = showTscDeadline(kvm.supportedCpuid())
      .filter((leaf) => cpuid !== 'bare' || !isHypervisors(leaf.function))
      .map((leaf) => (cpuid === 'hyperv' && leaf.function === INTERFACE ? { ...leaf, eax: HYPERV } : leaf));
    if (cpuid === 'none') this.#leaves = [];
    this.vm = ctx.own(kvm.createVm());
    if (this.vm.checkExtension('KVM_CAP_SET_TSS_ADDR')) this.vm.setTssAddr(TSS_ADDRESS);
    vm?.(this.vm);
    if (irqchip === 'full') this.vm.createIrqchip();
    else this.vm.enableSplitIrqchip();
    for (const { at, bytes } of tables()) this.memory.write(at, bytes);
    this.memory.write(INTRUDER, intruderCode);
    this.vm.setMemory({ slot: 0, guestPhysAddr: 0, memory: this.memory, ...(logDirtyPages ? { logDirtyPages } : {}) });
    // System management mode sees the same, if it has a memory of its own.
    if (this.vm.checkExtension('KVM_CAP_MULTI_ADDRESS_SPACE') > 1)
      this.vm.setMemory({ slot: smmSlot(0), guestPhysAddr: 0, memory: this.memory });
    made?.(ctx, this.vm);
    this.vcpus = ids.map((id) => {
      const one = this.vm.createVcpu(id);
      // Without it there is no 64-bit mode.
      if (cpuid !== 'none') one.setCpuid2(this.#leaves);
      one.setLapicRegisters({ SVR: 0x1ff, ICR2: FIRST_ICR2 });
      one.setMpState(mpStates.KVM_MP_STATE_RUNNABLE);
      vcpu?.(one);
      return one;
    });
    if (apicvParameter()?.enabled && !ids.includes(PARKED)) inhibitApicv(this.vm, PARKED);
    this.plain = this.vcpus.map((one) => this.#read(one));
    this.now = this.plain.map((state) => ({ ...state }));
  }

  /** Whether its guests' CPUID has a bit. */
  offers(leaf: number, register: 'ebx' | 'ecx' | 'edx', bit: number): boolean {
    return this.#leaves.some((one) => one.function === leaf && one.index === 0 && ((one[register] >>> bit) & 1) === 1);
  }

  /** The APIC id of a vCPU in xAPIC mode, if its LAPIC is changed like this. */
  apicId(place: number, changes?: ReadonlyMap<number, number>): number {
    const page = this.plain[place]!.lapic;
    return (changes?.get(lapicRegisters.ID) ?? page.readUInt32LE(lapicRegisters.ID)) >>> 24;
  }

  register(state: VcpuState, name: LapicRegisterName): number {
    return state.lapic.readUInt32LE(lapicRegisters[name]);
  }

  /** Decoded once for each buffer: nobody may change it. */
  sregs(state: VcpuState): KvmSregs {
    return remembered(this.#sregs, state.sregs, (bytes) => kvmSregs.decode(bytes));
  }

  /** As `sregs()`. */
  events(state: VcpuState): KvmVcpuEvents {
    return remembered(this.#events, state.events, (bytes) => kvmVcpuEvents.decode(bytes));
  }

  /** As `sregs()`. */
  regs(state: VcpuState): KvmRegs {
    return remembered(this.#regs, state.regs, (bytes) => kvmRegs.decode(bytes));
  }

  /** Memory as a scene begins with it, with `code` at `at`. */
  load(at: number, code: Uint8Array): void {
    const entries = pdpt();
    this.memory.write(entries.at, entries.bytes);
    this.memory.write(at, code);
    this.clearHandled();
  }

  /** Brings a vCPU into a state; what the kernel makes of it is its state now. */
  set(place: number, wanted: VcpuState): void {
    const vcpu = this.vcpus[place]!;
    const now = this.now[place]!;
    const changed = partNames.filter((part) => !now[part].equals(wanted[part]));
    if (changed.length === 0) return;
    for (const part of changed) vcpu.ioctlRaw(parts[part].set, Buffer.from(wanted[part]));
    this.read(place);
  }

  /** What a vCPU is like now. */
  read(place: number): VcpuState {
    const state = this.#read(this.vcpus[place]!);
    this.now[place] = state;
    return state;
  }

  /** The same of what a vCPU that does not run can have been sent. */
  readSent(place: number): VcpuState {
    const vcpu = this.vcpus[place]!;
    const { sregs, regs } = this.now[place]!;
    const state = { mp: ask(vcpu, 'mp'), sregs, regs, lapic: ask(vcpu, 'lapic'), events: ask(vcpu, 'events') };
    this.now[place] = state;
    return state;
  }

  /** What it is like in the middle of a scene: its state of the scene's beginning stays that. */
  glance(place: number): VcpuState {
    return this.#read(this.vcpus[place]!);
  }

  #read(vcpu: Vcpu): VcpuState {
    const one = (part: Part) => ask(vcpu, part);
    // The first may have the vCPU take an INIT, which changes the others.
    return { mp: one('mp'), sregs: one('sregs'), regs: one('regs'), lapic: one('lapic'), events: one('events') };
  }

  /** Vectors that guests have handled since `clearHandled()`. */
  handled(): number[] {
    const counters = this.memory.read(COUNTERS, 256);
    return [...counters.keys()].filter((vector) => counters[vector] !== 0);
  }

  clearHandled(): void {
    this.memory.write(COUNTERS, new Uint8Array(256));
  }

  /** What every vCPU's kvm_run holds of its last exit. */
  runs(): Buffer[] {
    return this.vcpus.map(({ kvmRun }) => Buffer.from(Buffer.from(kvmRun.buffer, kvmRun.byteOffset, RUN_BYTES)));
  }
}
