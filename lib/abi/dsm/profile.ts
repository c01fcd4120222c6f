/**
 * DSM profiles: one per version of the DSM interrupt forwarding series. The series is not merged and its numbers have
 * moved, so every number and layout belongs to a profile; nothing else in the package holds one.
 */
import { checkFunction, checkInteger, checkObject } from '../../base/check.ts';
import { ArgumentError } from '../../base/errors.ts';
import { show } from '../../base/text.ts';
import type { Layout } from '../layout.ts';
import { rfcV2 } from './rfc-v2.ts';

/** Payload of KVM_EXIT_DSM_SEND_IRQ: a write of the xAPIC's ICR or ICR2. */
export interface LapicIrq {
  /** vcpu_id of the vCPU that wrote. */
  id: number;
  /** The register's byte offset: 0x300 (ICR) or 0x310 (ICR2). */
  val: number;
  /** The 32 bits that it wrote. */
  val2: number;
  /** Bits 31:24 of ICR2. Means nothing under a shorthand. */
  destId: number;
}

/** Payload of KVM_EXIT_DAPIC, of an ancestor of the series: an access to the APIC page. */
export interface Dapic {
  /** vcpu_id of the vCPU that accessed. */
  localCpuid: number;
  /** Where in the page, in bytes. */
  offset: number;
}

/** Payload of KVM_EXIT_DSM_X2_ICR: a write of the x2APIC's ICR. */
export interface X2apic {
  /** vcpu_id of the vCPU that wrote. */
  id: number;
  /** The 64 bits that it wrote. */
  data: bigint;
}

/** Payload of KVM_EXIT_DSM_APIC_BASE: a write of IA32_APIC_BASE. */
export interface X2msrBase {
  /** vcpu_id of the vCPU that wrote. */
  id: number;
  /** True if the host wrote. */
  host: boolean;
  /** The MSR's number. */
  index: number;
  /** The value written. */
  data: bigint;
}

/** One exit of a profile. `P` is the payload, at the start of kvm_run's union. */
export interface DsmExit<P> {
  /** kvm_run.exit_reason. */
  readonly reason: number;
  readonly payload: P;
  /** Whether the series itself makes this exit happen. Where it does not, the lab kernel's extension may. */
  readonly emitted: boolean;
  /** Where the number and the layout come from. */
  readonly source: string;
}

/** One injection ioctl of a profile: a request on a VM. */
export interface DsmRequest<A> {
  readonly request: number;
  readonly argument: Layout<A>;
  readonly source: string;
}

/** Argument of KVM_DSM_IPI: replays a register write on a vCPU's LAPIC. */
export interface DsmIpiArg {
  /** The vCPU whose LAPIC is written: s32. */
  vcpuId: number;
  /** The register's byte offset. */
  val: number;
  /** The 32 bits to write. */
  val2: number;
  /** Not used by the kernel. */
  destId: number;
}

/** Argument of KVM_DSM_X2APIC: replays a write of the x2APIC's ICR. */
export interface DsmX2apicArg {
  vcpuId: number;
  data: bigint;
}

/** Argument of KVM_DSM_APIC_BASE: replays a write of IA32_APIC_BASE. */
export interface DsmApicBaseArg {
  vcpuId: number;
  host: boolean;
  index: number;
  data: bigint;
}

/** The numbers and layouts of one version of the series. */
export interface DsmProfile {
  /** What `--profile` takes. */
  readonly name: string;
  /** One line for people. */
  readonly title: string;
  readonly exits: {
    readonly KVM_EXIT_DAPIC: DsmExit<Layout<Dapic>>;
    readonly KVM_EXIT_DSM_SEND_IRQ: DsmExit<Layout<LapicIrq>>;
    readonly KVM_EXIT_DSM_X2_ICR: DsmExit<Layout<X2apic>>;
    readonly KVM_EXIT_DSM_APIC_BASE: DsmExit<Layout<X2msrBase>>;
  };
  readonly ioctls: {
    readonly KVM_DSM_IPI: DsmRequest<DsmIpiArg>;
    readonly KVM_DSM_X2APIC: DsmRequest<DsmX2apicArg>;
    readonly KVM_DSM_APIC_BASE: DsmRequest<DsmApicBaseArg>;
  };
  /** The request numbers alone, by name: for `ioctlName`. */
  readonly requests: Readonly<Record<keyof DsmProfile['ioctls'], number>>;
}

export type DsmExitName = keyof DsmProfile['exits'];
export type DsmIoctlName = keyof DsmProfile['ioctls'];

/** Every profile there is, by name. */
export const profiles: ReadonlyMap<string, DsmProfile> = new Map([[rfcV2.name, rfcV2]]);

/** The profile that is used where none is named. */
export const defaultProfile: DsmProfile = rfcV2;

const checked = new WeakSet<object>([defaultProfile]);

/** `profile` if it is one; otherwise throws ArgumentError. */
export function checkProfile(profile: DsmProfile): DsmProfile {
  if (checked.has(profile)) return profile;
  const exits = checkObject('profile.exits', checkObject('profile', profile).exits);
  for (const name of Object.keys(defaultProfile.exits) as DsmExitName[])
    checkInteger(
      `profile.exits.${name}.reason`,
      checkObject(`profile.exits.${name}`, exits[name]).reason,
      0,
      0xffff_ffff,
    );
  const ioctls = checkObject('profile.ioctls', profile.ioctls);
  for (const name of Object.keys(defaultProfile.ioctls) as DsmIoctlName[]) {
    const { request, argument } = checkObject(`profile.ioctls.${name}`, ioctls[name]);
    checkInteger(`profile.ioctls.${name}.request`, request, 0, 0xffff_ffff);
    checkFunction(`profile.ioctls.${name}.argument.encode`, checkObject(`profile.ioctls.${name}`, argument).encode);
  }
  checked.add(profile);
  return profile;
}

/** The profile of that name. Throws ArgumentError, which lists the names there are, for any other. */
export function profileByName(name: string): DsmProfile {
  const profile = profiles.get(name);
  if (profile === undefined) {
    const known = [...profiles.keys()].join(', ');
    throw new ArgumentError(
      'profile',
      `there is no DSM profile ${typeof name === 'string' ? `'${name}'` : show(name)}; known: ${known}`,
      `Name one of: ${known}.`,
    );
  }
  return profile;
}

/** The name that a profile gives an exit reason, or `undefined`. */
export function dsmExitName(profile: DsmProfile, reason: number): DsmExitName | undefined {
  for (const name of Object.keys(profile.exits) as DsmExitName[]) {
    if (profile.exits[name].reason === reason) return name;
  }
  return undefined;
}
