/** KVM_DSM_IPI, KVM_DSM_X2APIC and KVM_DSM_APIC_BASE: the injection side of DSM interrupt forwarding. */
import { decodeX2Icr } from '../../abi/apic/icr.ts';
import { lapicRegisters, X2APIC_BROADCAST } from '../../abi/apic/lapic.ts';
import { IA32_APIC_BASE } from '../../abi/apic/msr.ts';
import { type DsmIoctlName, type DsmIpiArg, type DsmProfile, profileCheck } from '../../abi/dsm/profiles.ts';
import { type ApicMode, apicMode } from '../../apic/mode.ts';
import { ArgumentError, IoctlError, UnsupportedError } from '../../base/errors.ts';
import { boolean, integer, optional, orNull, shape, u64 } from '../../base/shape.ts';
import { hex } from '../../base/text.ts';
import { putArgument } from '../desk.ts';
import { VcpuBusyError } from '../vcpu/errors.ts';
import { NoLapicError, NoVcpuError, ReplayLostError, ReplayRefusedError } from './errors.ts';
import type { VmCalls, VmHost, VmVcpu } from './host.ts';

const MAX_U32 = 0xffff_ffff;
const MAX_S32 = 0x7fff_ffff;
/** Bits of the x2APIC's ICR that the kernel refuses: 31:20, 17:16 and 13. It clears bit 12. */
const X2_ICR_REFUSED = 0xfff3_2000n;

/** How to replay a write. */
export interface ReplayOptions {
  /** Whose ioctls are meant; default rfc-v2. */
  profile?: DsmProfile;
  /**
   * Do what the caller is otherwise kept from: a write of another register than ICR and ICR2 (or another MSR), and one
   * that the kernel is known to lose or to misplace. Default false. Where the profile's ioctls check, nobody is kept from
   * anything: the kernel refuses. A vCPU that is not there, and one without LAPIC, are
   * refused all the same: the kernel would crash.
   */
  insist?: boolean;
}

/** The write of an ICR or ICR2: the fields of a KVM_EXIT_DSM_SEND_IRQ. */
export interface IpiReplay extends Pick<DsmIpiArg, 'vcpuId' | 'val' | 'val2'> {
  /** Not used by the kernel, which takes the destination from ICR2. Default 0; `null`, from an exit that does not tell it, is 0. */
  destId?: number | null;
}

/** The write of an x2APIC's ICR: the fields of a KVM_EXIT_DSM_X2_ICR. */
export interface X2apicReplay {
  /** vcpu_id of the vCPU whose LAPIC is written. */
  vcpuId: number;
  /** 0 to 2^64-1. */
  data: number | bigint;
}

/** The write of an IA32_APIC_BASE: the fields of a KVM_EXIT_DSM_APIC_BASE. */
export interface ApicBaseReplay {
  /** vcpu_id of the vCPU whose register is written. */
  vcpuId: number;
  /** 0 to 2^64-1. */
  data: number | bigint;
  /** True: the host may make changes of mode that a guest may not. Default false. */
  host?: boolean;
  /** Default 0x1b, IA32_APIC_BASE, which is what the kernel writes whatever this says. */
  index?: number;
}

const vcpuId = integer(0, MAX_S32);
const u32 = integer(0, MAX_U32);
const replayOptions = shape<ReplayOptions>('a replay takes', {
  profile: optional(profileCheck),
  insist: optional(boolean),
});
const ipiReplay = shape<IpiReplay>('dsmIpi() takes', { vcpuId, val: u32, val2: u32, destId: optional(orNull(u32)) });
const x2apicReplay = shape<X2apicReplay>('dsmX2apic() takes', { vcpuId, data: u64 });
const apicBaseReplay = shape<ApicBaseReplay>('dsmApicBase() takes', {
  vcpuId,
  data: u64,
  host: optional(boolean),
  index: optional(u32),
});

/**
 * The injection side of DSM interrupt forwarding: the write of a vCPU on another machine, replayed on the local APIC of
 * the vCPU that stands for it here. Source: RFC PATCH v2 3/3. The kernel checks next to nothing and tells next to nothing:
 * these methods look first, by KVM_GET_SREGS, so that the vCPU has to be out of the guest.
 */
export class Injection {
  readonly #calls: VmCalls;
  readonly #vm: VmHost;
  /** Of all vCPUs that there were when it was needed last, in the order of their making. */
  #ids: readonly number[] = [];

  constructor(calls: VmCalls, vm: VmHost) {
    this.#calls = calls;
    this.#vm = vm;
  }

  dsmIpi(write: IpiReplay, options: ReplayOptions): void {
    const { vcpuId, val, val2, destId } = ipiReplay.take(handedOn(write, 'KVM_EXIT_DSM_SEND_IRQ'), 'write');
    const { profile = this.#vm.profile, insist = false } = replayOptions.take(options);
    const vcpu = this.#target('KVM_DSM_IPI', vcpuId, profile, insist);
    if (vcpu && !insist) {
      if (val !== lapicRegisters.ICR && val !== lapicRegisters.ICR2)
        throw new ArgumentError(
          'val',
          `val ${hex(val)} is neither ICR (0x300) nor ICR2 (0x310)`,
          'Give a register that sends IPIs; `insist: true` writes any.',
        );
      const mode = modeOf(vcpu);
      if (mode !== 'xapic')
        throw new ReplayRefusedError(
          'KVM_DSM_IPI',
          `the LAPIC of vCPU ${vcpuId} is ${inMode[mode]}, where a guest has no such register`,
          mode === 'x2apic' ? 'Replay with dsmX2apic().' : 'Replay the write of IA32_APIC_BASE first: dsmApicBase().',
        );
    }
    const { argument } = profile.ioctls.KVM_DSM_IPI;
    const taken = { vcpuId, val, val2, destId: destId ?? 0 };
    this.#replay('KVM_DSM_IPI', profile, vcpuId, argument.encode(taken));
    if (this.#vm.isHeard) this.#vm.acted({ ioctl: 'KVM_DSM_IPI', write: taken });
  }

  dsmX2apic(write: X2apicReplay, options: ReplayOptions): void {
    const { vcpuId, data: value } = x2apicReplay.take(handedOn(write, 'KVM_EXIT_DSM_X2_ICR'), 'write');
    const { profile = this.#vm.profile, insist = false } = replayOptions.take(options);
    const data = BigInt(value);
    const vcpu = this.#target('KVM_DSM_X2APIC', vcpuId, profile, insist);
    if (vcpu && !insist) checkX2apic(vcpu, data);
    const { argument } = profile.ioctls.KVM_DSM_X2APIC;
    this.#replay('KVM_DSM_X2APIC', profile, vcpuId, argument.encode({ vcpuId, data }));
    this.#vm.acted({ ioctl: 'KVM_DSM_X2APIC', write: { vcpuId, data } });
  }

  dsmApicBase(write: ApicBaseReplay, options: ReplayOptions): void {
    const {
      vcpuId,
      data: value,
      host = false,
      index = IA32_APIC_BASE,
    } = apicBaseReplay.take(handedOn(write, 'KVM_EXIT_DSM_APIC_BASE'), 'write');
    const { profile = this.#vm.profile, insist = false } = replayOptions.take(options);
    const data = BigInt(value);
    if (index !== IA32_APIC_BASE && !insist && !profile.injectionChecks)
      throw new ArgumentError(
        'index',
        `index ${hex(index)} is not IA32_APIC_BASE (0x1b), and the kernel writes no other`,
        'Leave it out.',
      );
    const vcpu = this.#target('KVM_DSM_APIC_BASE', vcpuId, profile, insist);
    // Also for the kernel's sake: on Intel it writes to the VMCS that was loaded last, and this loads the vCPU's.
    vcpu?.getSregs();
    const { argument } = profile.ioctls.KVM_DSM_APIC_BASE;
    this.#replay('KVM_DSM_APIC_BASE', profile, vcpuId, argument.encode({ vcpuId, host, index, data }));
    this.#vm.vcpus.get(vcpuId)?.forgetApicBase();
    const apicBase = vcpu?.getSregs().apicBase ?? data;
    if (apicBase !== data)
      throw new ReplayLostError(
        'KVM_DSM_APIC_BASE',
        `IA32_APIC_BASE of vCPU ${vcpuId} is ${hex(apicBase)}, not ${hex(data)}`,
      );
    this.#vm.acted({ ioctl: 'KVM_DSM_APIC_BASE', write: { vcpuId, host, index, data } });
  }

  /** The vCPU, if the kernel can be asked to write to its LAPIC; `null` where the kernel looks for itself. */
  #target(ioctl: DsmIoctlName, vcpuId: number, profile: DsmProfile, insist: boolean): VmVcpu | null {
    void this.#calls.native;
    if (profile.injectionChecks) return null;
    const { vcpus } = this.#vm;
    const vcpu = vcpus.get(vcpuId);
    if (!vcpu) throw new NoVcpuError(vcpuId, [...vcpus.keys()]);
    if (this.#vm.irqchip() === 'none') throw new NoLapicError(vcpuId);
    // It would be a vCPU that is not there.
    if (vcpuId >= vcpus.size) throw misplaced(ioctl, vcpuId, 'none');
    const there = this.#idAt(vcpuId);
    if (there !== vcpuId && !insist) throw misplaced(ioctl, vcpuId, `vCPU ${there}`);
    return vcpu;
  }

  /** The vcpu_id of the vCPU that was made at that place. A vCPU keeps its place as long as the VM is. */
  #idAt(place: number): number | undefined {
    if (this.#ids.length < this.#vm.vcpus.size) this.#ids = [...this.#vm.vcpus.keys()];
    return this.#ids[place];
  }

  #replay(ioctl: DsmIoctlName, profile: DsmProfile, vcpuId: number, argument: Uint8Array): void {
    try {
      const { request } = profile.ioctls[ioctl];
      // A profile that somebody has made may have another size.
      if (putArgument(this.#calls.argument, request, argument)) this.#calls.ask(request);
      else this.#calls.ioctl(request, argument);
    } catch (error) {
      if (error instanceof IoctlError && error.errnoName === 'ENOTTY')
        throw new UnsupportedError(`${ioctl} (CONFIG_KVM_DSM_IRQ_FORWARD with patch 3/3)`, 'Injection');
      if (error instanceof IoctlError && profile.injectionAnswers === false) return;
      throw error instanceof IoctlError && profile.injectionChecks ? this.#refusal(ioctl, vcpuId, error) : error;
    }
  }

  /** What a kernel that checks means with an errno. */
  #refusal(ioctl: DsmIoctlName, vcpuId: number, error: IoctlError): Error {
    switch (error.errnoName) {
      case 'ENOENT':
        return new NoVcpuError(vcpuId, [...this.#vm.vcpus.keys()]);
      case 'ENXIO':
        return new NoLapicError(vcpuId);
      case 'EBUSY':
        return new VcpuBusyError(vcpuId, 'runs, and writes to its LAPIC itself');
      case 'EINVAL':
        return ReplayRefusedError.byKernel(ioctl, error);
      default:
        return error;
    }
  }
}

/** An exit of that name is a write as well, by fields that it has besides. */
function handedOn<T extends object>(write: T, exit: string): T {
  if (typeof write !== 'object' || write === null || !('name' in write) || write.name !== exit) return write;
  const { name: _n, reason: _r, id: _i, register: _g, icr: _c, icr2: _d, ...fields } = write as Record<string, unknown>;
  return fields as T;
}

const inMode: Record<ApicMode, string> = {
  disabled: 'disabled',
  xapic: 'in xAPIC mode',
  x2apic: 'in x2APIC mode',
};

function modeOf(vcpu: VmVcpu): ApicMode {
  return apicMode(vcpu.apicBase());
}

function checkX2apic(vcpu: VmVcpu, data: bigint): void {
  if (data & X2_ICR_REFUSED)
    throw new ArgumentError(
      'data',
      `data ${hex(data)} has reserved bits set: ${hex(data & X2_ICR_REFUSED)}`,
      'Clear bits 31:20, 17:16 and 13: the kernel drops such an IPI and says nothing.',
    );
  const mode = modeOf(vcpu);
  if (mode !== 'x2apic')
    throw new ReplayRefusedError(
      'KVM_DSM_X2APIC',
      `the LAPIC of vCPU ${vcpu.vcpuId} is ${inMode[mode]}, and the kernel would take the destination for another`,
      mode === 'xapic' ? 'Replay with dsmIpi().' : 'Replay the write of IA32_APIC_BASE first: dsmApicBase().',
    );
  const { shorthand, destination } = decodeX2Icr(data);
  if (shorthand === 'none' ? destination === X2APIC_BROADCAST : shorthand !== 'self')
    throw new ReplayRefusedError(
      'KVM_DSM_X2APIC',
      'the kernel does not send an IPI to everyone on this path, and says nothing',
      'Replay one write for each destination.',
    );
}

function misplaced(ioctl: DsmIoctlName, vcpuId: number, where: string): ReplayRefusedError {
  return new ReplayRefusedError(
    ioctl,
    `the kernel takes vcpu_id ${vcpuId} for an index, and ${where} was made at that place`,
    'Make the vCPUs with vcpu_id 0, 1, 2 and so on, in this order.',
  );
}
