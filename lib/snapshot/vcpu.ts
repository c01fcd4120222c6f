/** One vCPU, in the order that KVM wants. Bodies are the kernel's own structs. */
import { capabilityName } from '../abi/kvm/capability.ts';
import {
  decodeCpuid2,
  decodeMsrs,
  encodeCpuid2,
  encodeMsrs,
  type KvmMsrEntry,
  kvmCpuid2,
  kvmCpuidEntry2,
  kvmDebugregs,
  kvmFpu,
  kvmLapicState,
  kvmMpState,
  kvmMsrEntry,
  kvmMsrs,
  kvmRegs,
  kvmSregs,
  kvmSregs2,
  kvmVcpuEvents,
  kvmXcrs,
  kvmXsave,
} from '../abi/kvm/index.ts';
import { ioctls } from '../abi/kvm/ioctl.ts';
import { IoctlError } from '../base/errors.ts';
import { hasSynic } from '../hyperv/synic.ts';
import { MsrRefusedError } from '../kvm/vcpu/errors.ts';
import type { Vcpu } from '../kvm/vcpu/vcpu.ts';
import type { Vm } from '../kvm/vm/vm.ts';
import type { VcpuConfig } from './config.ts';
import type { Section, SectionKind } from './container.ts';
import { StateFormatError, StateMismatchError } from './errors.ts';
import { msrsToSave, restoreOrder } from './msrs.ts';

/** What a buffer has of one vCPU. */
export interface VcpuBodies {
  config: VcpuConfig;
  bodies: ReadonlyMap<SectionKind, Uint8Array>;
}

/** A struct of fixed size that one ioctl gets and another sets. */
interface FixedStruct {
  kind: SectionKind;
  get: number;
  set: number;
  size: number;
}

const sregs: FixedStruct = { kind: 'sregs', get: ioctls.KVM_GET_SREGS, set: ioctls.KVM_SET_SREGS, size: kvmSregs.size };
const sregs2: FixedStruct = {
  kind: 'sregs2',
  get: ioctls.KVM_GET_SREGS2,
  set: ioctls.KVM_SET_SREGS2,
  size: kvmSregs2.size,
};
const regs: FixedStruct = { kind: 'regs', get: ioctls.KVM_GET_REGS, set: ioctls.KVM_SET_REGS, size: kvmRegs.size };
const xcrs: FixedStruct = { kind: 'xcrs', get: ioctls.KVM_GET_XCRS, set: ioctls.KVM_SET_XCRS, size: kvmXcrs.size };
const fpu: FixedStruct = { kind: 'fpu', get: ioctls.KVM_GET_FPU, set: ioctls.KVM_SET_FPU, size: kvmFpu.size };
const mpState: FixedStruct = {
  kind: 'mpState',
  get: ioctls.KVM_GET_MP_STATE,
  set: ioctls.KVM_SET_MP_STATE,
  size: kvmMpState.size,
};
const lapic: FixedStruct = {
  kind: 'lapic',
  get: ioctls.KVM_GET_LAPIC,
  set: ioctls.KVM_SET_LAPIC,
  size: kvmLapicState.size,
};
const events: FixedStruct = {
  kind: 'events',
  get: ioctls.KVM_GET_VCPU_EVENTS,
  set: ioctls.KVM_SET_VCPU_EVENTS,
  size: kvmVcpuEvents.size,
};
const debugregs: FixedStruct = {
  kind: 'debugregs',
  get: ioctls.KVM_GET_DEBUGREGS,
  set: ioctls.KVM_SET_DEBUGREGS,
  size: kvmDebugregs.size,
};
const fixedStructs = [sregs, sregs2, regs, xcrs, fpu, mpState, lapic, events, debugregs];

/** The sections of a vCPU that has settled. `indices`: KVM_GET_MSR_INDEX_LIST. */
export function saveVcpu(vm: Vm, vcpu: Vcpu, indices: readonly number[]): Section[] {
  const sections: Section[] = [];
  const keep = (kind: SectionKind, body: Uint8Array) => sections.push({ kind, index: vcpu.vcpuId, body });
  const read = ({ kind, get, size }: FixedStruct) => {
    const body = new Uint8Array(size);
    vcpu.ioctlRaw(get, body);
    keep(kind, body);
  };
  // First: it makes KVM act on a pending INIT or SIPI, which changes most of what follows.
  read(mpState);
  read(regs);
  read(vm.checkExtension('KVM_CAP_SREGS2') ? sregs2 : sregs);
  keep('cpuid2', encodeCpuid2(vcpu.getCpuid2()));
  if (vm.checkExtension('KVM_CAP_XSAVE')) keep('xsave', vcpu.getXsave());
  else read(fpu);
  if (vm.checkExtension('KVM_CAP_XCRS')) read(xcrs);
  if (vm.checkExtension('KVM_CAP_DEBUGREGS')) read(debugregs);
  if (vm.irqchip !== 'none') read(lapic);
  keep('msrs', encodeMsrs(readableMsrs(vcpu, msrsToSave(indices, hasSynic(vcpu)))));
  // Last: the calls before it may have moved an event on.
  read(events);
  return sections;
}

/** The MSRs of the list that this vCPU has: its CPUID decides. */
function readableMsrs(vcpu: Vcpu, indices: readonly number[]): KvmMsrEntry[] {
  const entries: KvmMsrEntry[] = [];
  let rest = [...indices];
  while (rest.length > 0) {
    try {
      vcpu.getMsrs(rest).forEach((data, at) => {
        entries.push({ index: rest[at]!, data });
      });
      break;
    } catch (error) {
      if (!(error instanceof MsrRefusedError)) throw error;
      const { done } = error;
      const good = rest.slice(0, done);
      vcpu.getMsrs(good).forEach((data, at) => {
        entries.push({ index: good[at]!, data });
      });
      rest = rest.slice(done + 1);
    }
  }
  return entries;
}

/** Checks the sizes of a vCPU's sections, so that nothing of a malformed buffer is restored. Throws StateFormatError. */
export function checkVcpu({ config, bodies }: VcpuBodies): void {
  const wrong = (kind: SectionKind) =>
    new StateFormatError(`vCPU ${config.vcpuId} lacks its ${kind}, or it has the wrong size`);
  const has = (kind: SectionKind) => bodies.has(kind);
  if (!has('sregs') && !has('sregs2')) throw wrong('sregs');
  if (!has('xsave') && !has('fpu')) throw wrong('xsave');
  for (const kind of ['mpState', 'regs', 'events', 'msrs', 'cpuid2'] as const) if (!has(kind)) throw wrong(kind);
  for (const { kind, size } of fixedStructs) if (has(kind) && bodies.get(kind)!.length !== size) throw wrong(kind);
  if (has('xsave') && bodies.get('xsave')!.length < kvmXsave.size) throw wrong('xsave');
  const msrs = bodies.get('msrs')!;
  if (msrs.length < kvmMsrs.size || msrs.length !== kvmMsrs.size + decodeMsrs(msrs).length * kvmMsrEntry.size)
    throw wrong('msrs');
  const cpuid = bodies.get('cpuid2')!;
  const leaves = cpuid.length < kvmCpuid2.size ? -1 : decodeCpuid2(cpuid).length;
  if (cpuid.length !== kvmCpuid2.size + leaves * kvmCpuidEntry2.size) throw wrong('cpuid2');
}

/** Puts a checked vCPU's state into a new one. Throws StateMismatchError with what the kernel refused. */
export function restoreVcpu(vcpu: Vcpu, { config, bodies }: VcpuBodies): void {
  const step = (what: string, call: () => void) => {
    try {
      call();
    } catch (error) {
      if (!(error instanceof IoctlError) && !(error instanceof MsrRefusedError)) throw error;
      throw new StateMismatchError(
        `vCPU ${vcpu.vcpuId}'s ${what}: ${error.message}`,
        'Restore it on a host whose KVM and CPU can do what the saved one could.',
        error,
      );
    }
  };
  const write = ({ kind, set }: FixedStruct) => {
    const body = bodies.get(kind);
    if (body) step(kind, () => vcpu.ioctlRaw(set, body.slice()));
  };
  for (const { cap, args } of config.caps) step(capabilityName(cap), () => vcpu.enableCap(cap, args));
  // CPUID decides which registers and MSRs there are.
  const cpuid = decodeCpuid2(bodies.get('cpuid2')!);
  if (cpuid.length > 0) step('CPUID', () => vcpu.setCpuid2(cpuid));
  const msrs = decodeMsrs(bodies.get('msrs')!);
  restoreMceCap(vcpu, msrs, step);
  if (config.tscKhz > 0 && config.tscKhz !== tscKhzOf(vcpu)) step('TSC', () => vcpu.setTscKhz(config.tscKhz));
  // The APIC base is in the sregs: the LAPIC's page means something only in its mode.
  write(sregs);
  write(sregs2);
  const area = bodies.get('xsave');
  write(xcrs);
  if (area) {
    if (area.length !== vcpu.xsaveSize)
      throw new StateMismatchError(
        `vCPU ${vcpu.vcpuId}'s XSAVE area has ${area.length} bytes, ${vcpu.xsaveSize} here`,
        'Restore it on a host with the same XSAVE features.',
      );
    step('xsave', () => vcpu.setXsave(area));
  }
  write(fpu);
  // Before the MSRs: the TSC deadline counts only with the LAPIC's timer in that mode.
  write(lapic);
  restoreMsrs(vcpu, msrs, step);
  write(debugregs);
  // It takes back a pending exception, so that the events come after it.
  write(regs);
  // After the registers: KVM steps the guest from the RIP that it has now.
  if (config.debugControl !== 0)
    step('guest debug', () => vcpu.setGuestDebug({ control: config.debugControl, debugreg: config.debugreg }));
  write(events);
  write(mpState);
}

/** The frequency of its TSC; 0 where the kernel does not tell. */
export function tscKhzOf(vcpu: Vcpu): number {
  try {
    return vcpu.getTscKhz();
  } catch (error) {
    // EIO: the host's TSC is not stable.
    if (error instanceof IoctlError) return 0;
    throw error;
  }
}

/** IA32_MCG_CAP. The guest cannot write it: KVM_X86_SETUP_MCE sets it, and with it how many banks there are. */
const MSR_MCG_CAP = 0x179;

function restoreMceCap(
  vcpu: Vcpu,
  saved: readonly KvmMsrEntry[],
  step: (what: string, call: () => void) => void,
): void {
  const cap = saved.find(({ index }) => index === MSR_MCG_CAP);
  if (!cap || vcpu.getMsr(MSR_MCG_CAP) === cap.data) return;
  const argument = new Uint8Array(8);
  new DataView(argument.buffer).setBigUint64(0, cap.data, true);
  step('machine-check capabilities', () => vcpu.ioctlRaw(ioctls.KVM_X86_SETUP_MCE, argument));
}

function restoreMsrs(vcpu: Vcpu, saved: readonly KvmMsrEntry[], step: (what: string, call: () => void) => void): void {
  const msrs = [...saved].sort((a, b) => restoreOrder(a.index) - restoreOrder(b.index));
  step('MSRs', () => {
    for (let start = 0; start < msrs.length; ) {
      try {
        vcpu.setMsrs(msrs.slice(start));
        return;
      } catch (error) {
        if (!(error instanceof MsrRefusedError)) throw error;
        const refused = msrs[start + error.done]!;
        // Some of the list can only be read: they have their value already, or none will help.
        if (vcpu.getMsr(refused.index) !== refused.data) throw error;
        start += error.done + 1;
      }
    }
  });
}
