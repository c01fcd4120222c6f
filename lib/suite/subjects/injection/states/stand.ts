/** A VM of the table of states: made by hand, since its vCPUs have any ids and its host does more than a machine's. */
import { APIC_BASE_EXTD } from '../../../../abi/apic/msr.ts';
import {
  kvmDebugregs,
  kvmMpState,
  kvmRegs,
  kvmSregs,
  kvmVcpuEvents,
  kvmXcrs,
  mpStates,
} from '../../../../abi/kvm/index.ts';
import { ioctls } from '../../../../abi/kvm/ioctl.ts';
import { bytesAt } from '../../../../guest/code.ts';
import { enterFlat32 } from '../../../../guest/enter-flat32.ts';
import { apicvParameter } from '../../../../host/apicv-parameter.ts';
import { type Cpuid, hypervCpuid, showTscDeadline } from '../../../../kvm/cpuid.ts';
import { GuestMemory, PAGE_SIZE } from '../../../../kvm/guest-memory.ts';
import type { Vcpu } from '../../../../kvm/vcpu/vcpu.ts';
import { TSS_ADDRESS, type Vm } from '../../../../kvm/vm/vm.ts';
import { inhibitApicv } from '../../../../probe/inhibit-apicv.ts';
import type { CheckContext } from '../../../kit/context.ts';
import { writer } from '../../../kit/twin-writes.ts';

export interface StandOptions {
  /** vcpu_id of each vCPU, in the order of their making. */
  ids: readonly number[];
  /** The place of the one whose guest writes, or on which the write is replayed. */
  source: number;
  irqchip?: 'full' | 'split';
  /** All that KVM can do, that without the leaves of a hypervisor, that with Hyper-V's, or nothing. Default all. */
  cpuid?: 'all' | 'bare' | 'hyperv' | 'none';
  logDirtyPages?: boolean;
  /** Of the new VM, before its interrupt controllers. */
  early?: (vm: Vm) => void;
  /** Of the VM with its interrupt controllers and its memory, before its first vCPU. */
  made?: (ctx: CheckContext, vm: Vm) => void;
  /** Of each vCPU, after its CPUID. */
  vcpu?: (vcpu: Vcpu) => void;
}

export const ENTRY = PAGE_SIZE;
/** A page that the guest's program leaves alone: what KVM shares with a guest may lie there. */
export const SPARE = 4 * PAGE_SIZE;
const MEMORY = 16 * PAGE_SIZE;
/** An id that no row gives to a vCPU of its own, for the one that keeps APICv away. */
const PARKED = 254;

/** What is compared of a vCPU, as the kernel gives it, in the order in which it can be set. */
export const parts = {
  mp: { get: ioctls.KVM_GET_MP_STATE, set: ioctls.KVM_SET_MP_STATE, layout: kvmMpState },
  sregs: { get: ioctls.KVM_GET_SREGS, set: ioctls.KVM_SET_SREGS, layout: kvmSregs },
  lapic: { get: ioctls.KVM_GET_LAPIC, set: ioctls.KVM_SET_LAPIC, layout: null },
  events: { get: ioctls.KVM_GET_VCPU_EVENTS, set: ioctls.KVM_SET_VCPU_EVENTS, layout: kvmVcpuEvents },
  regs: { get: ioctls.KVM_GET_REGS, set: ioctls.KVM_SET_REGS, layout: kvmRegs },
} as const;
export type StandPart = keyof typeof parts;
export const partNames = Object.keys(parts) as StandPart[];
export type StandState = Record<StandPart, Buffer>;
/** What is looked at beside: a replay has nothing to do with it. */
export type Aside = Record<'debugregs' | 'xcrs' | 'kvm_run', Buffer>;

const LAPIC_SIZE = 1024;
/** Of kvm_run, what an exit may write: its head and its union. */
export const RUN_BYTES = 288;

function ask(vcpu: Vcpu, request: number, size: number): Buffer {
  const bytes = Buffer.alloc(size);
  vcpu.ioctlRaw(request, bytes);
  return bytes;
}

/** The first may have the vCPU take an INIT, which changes the others. */
export function stateOf(vcpu: Vcpu): StandState {
  const entries = partNames.map((part) => {
    const { get, layout } = parts[part];
    return [part, ask(vcpu, get, layout?.size ?? LAPIC_SIZE)] as const;
  });
  return Object.fromEntries(entries) as StandState;
}

export function setState(vcpu: Vcpu, state: StandState): void {
  for (const part of partNames) vcpu.ioctlRaw(parts[part].set, Buffer.from(state[part]));
}

export const asideOf = (vcpu: Vcpu): Aside => ({
  debugregs: ask(vcpu, ioctls.KVM_GET_DEBUGREGS, kvmDebugregs.size),
  xcrs: ask(vcpu, ioctls.KVM_GET_XCRS, kvmXcrs.size),
  kvm_run: Buffer.from(Buffer.from(vcpu.kvmRun.buffer, vcpu.kvmRun.byteOffset, RUN_BYTES)),
});

const isHypervisors = (leaf: number) => leaf >= 0x4000_0000 && leaf < 0x5000_0000;

export class Stand {
  readonly vm: Vm;
  readonly memory: GuestMemory;
  readonly vcpus: readonly Vcpu[];
  readonly source: Vcpu;
  /** Shown for as long as it takes to enter x2APIC mode, where the rest of the time nothing is. */
  readonly #shownOnce: Cpuid | null;

  constructor(ctx: CheckContext, options: StandOptions) {
    const { ids, source, irqchip = 'full', cpuid = 'all', logDirtyPages, early, made, vcpu } = options;
    const kvm = ctx.kvm();
    const supported = showTscDeadline(kvm.supportedCpuid());
    const shown: Record<'all' | 'bare' | 'hyperv', () => Cpuid> = {
      all: () => supported,
      bare: () => supported.filter((leaf) => !isHypervisors(leaf.function)),
      hyperv: () => hypervCpuid(supported, kvm.supportedHvCpuid()),
    };
    this.vm = ctx.own(kvm.createVm());
    if (this.vm.checkExtension('KVM_CAP_SET_TSS_ADDR')) this.vm.setTssAddr(TSS_ADDRESS);
    early?.(this.vm);
    if (irqchip === 'full') this.vm.createIrqchip();
    else this.vm.enableSplitIrqchip();
    const memory = ctx.own(GuestMemory.allocate(MEMORY));
    this.memory = memory;
    memory.write(ENTRY, bytesAt(writer, ENTRY));
    this.vm.setMemory({ slot: 0, guestPhysAddr: 0, memory, ...(logDirtyPages ? { logDirtyPages } : {}) });
    made?.(ctx, this.vm);
    const leaves = cpuid === 'none' ? null : shown[cpuid]();
    this.#shownOnce = leaves ? null : supported;
    this.vcpus = ids.map((id) => {
      const one = this.vm.createVcpu(id);
      if (leaves) one.setCpuid2(leaves);
      one.setLapicRegisters({ SVR: 0x1ff });
      one.setMpState(mpStates.KVM_MP_STATE_RUNNABLE);
      vcpu?.(one);
      return one;
    });
    this.source = this.vcpus[source]!;
    enterFlat32(this.source, { rip: ENTRY, rsp: ENTRY, interrupts: false });
    if (apicvParameter()?.enabled) inhibitApicv(this.vm, PARKED);
  }

  /** Every local APIC into x2APIC mode, or back. */
  x2apic(on: boolean): void {
    for (const vcpu of this.vcpus) this.setBase(vcpu, (base) => (on ? base | APIC_BASE_EXTD : base & ~APIC_BASE_EXTD));
  }

  /** Another IA32_APIC_BASE, for which CPUID is shown where it is not otherwise. */
  setBase(vcpu: Vcpu, change: (base: bigint) => bigint): void {
    if (this.#shownOnce) vcpu.setCpuid2(this.#shownOnce);
    const sregs = vcpu.getSregs();
    vcpu.setSregs({ ...sregs, apicBase: change(sregs.apicBase) });
    if (this.#shownOnce) vcpu.setCpuid2([]);
  }
}
