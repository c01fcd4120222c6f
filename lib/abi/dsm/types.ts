/**
 * DSM profiles: one per version of the DSM interrupt forwarding series. The series is not merged and its numbers have
 * moved, so every number and layout belongs to a profile; nothing else in the package holds one.
 */
import type { Layout } from '../layout.ts';

/** Payload of KVM_EXIT_DSM_SEND_IRQ: a write of the xAPIC's ICR or ICR2. */
export interface DsmLapicIrq {
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
export interface DsmDapic {
  /** vcpu_id of the vCPU that accessed. */
  localCpuid: number;
  /** Where in the page, in bytes. */
  offset: number;
}

/** Payload of KVM_EXIT_DSM_X2_ICR: a write of the x2APIC's ICR. */
export interface DsmX2apic {
  /** vcpu_id of the vCPU that wrote. */
  id: number;
  /** The 64 bits that it wrote. */
  data: bigint;
}

/** Payload of KVM_EXIT_DSM_APIC_BASE: a write of IA32_APIC_BASE. */
export interface DsmX2msrBase {
  /** vcpu_id of the vCPU that wrote. */
  id: number;
  /** True if the host wrote. */
  host: boolean;
  /** The MSR's number. */
  index: number;
  /** The value written. */
  data: bigint;
}

/** Payload of KVM_EXIT_DSM_PV_IPI: an interrupt that a guest sent without a register of its APIC. */
export interface PvIpi {
  /** vcpu_id of the vCPU that sent it. */
  id: number;
  /** Vector, delivery mode, level and trigger mode, as in an ICR. */
  icr: number;
  /** What `base` and `mask` mean: 0 to 4. */
  type: number;
  base: number;
  /** Two words of 64 bits. */
  mask: bigint[];
}

/** One exit of a profile. `P` is the payload, at the start of kvm_run's union. */
export interface DsmExit<P> {
  /** kvm_run.exit_reason. */
  readonly reason: number;
  /** The payload's layout. */
  readonly payload: P;
  /** Whether the series itself makes this exit happen. Where it does not, the lab kernel's extension may. */
  readonly emitted: boolean;
  /** Where the number and the layout come from. */
  readonly source: string;
}

/** One injection ioctl of a profile: a request on a VM. */
export interface DsmRequest<A> {
  /** The 32-bit request number, made by `_IOW`. */
  readonly request: number;
  /** How the argument is made; a profile may have a place for less than `A`. */
  readonly argument: Pick<Layout<A>, 'cType' | 'size' | 'encode'> & {
    /** The struct's members, a `Field` each. */
    readonly fields: object;
  };
  /** Where the number and the layout come from. */
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
  /** The vCPU whose LAPIC is written: s32. */
  vcpuId: number;
  /** The 64 bits to write. */
  data: bigint;
}

/** Argument of KVM_DSM_APIC_BASE: replays a write of IA32_APIC_BASE. */
export interface DsmApicBaseArg {
  /** The vCPU whose register is written: s32. */
  vcpuId: number;
  /** True: as user space would, which may make changes of mode that a guest may not. */
  host: boolean;
  /** The MSR's number; the kernel writes IA32_APIC_BASE whatever it is. */
  index: number;
  /** The value to write. */
  data: bigint;
}

/** The exits that several profiles have; a write of the xAPIC's ICR is what all of them are about. */
export type CommonDsmExits = {
  /** A write of the xAPIC's ICR or ICR2. Some kernels do not tell the destination: their payload has no `destId`. */
  readonly KVM_EXIT_DSM_SEND_IRQ: DsmExit<Layout<DsmLapicIrq> | Layout<Omit<DsmLapicIrq, 'destId'>>>;
  /** An access to the APIC page. */
  readonly KVM_EXIT_DAPIC?: DsmExit<Layout<DsmDapic>>;
  /** A write of the x2APIC's ICR. */
  readonly KVM_EXIT_DSM_X2_ICR?: DsmExit<Layout<DsmX2apic>>;
  /** A write of IA32_APIC_BASE. */
  readonly KVM_EXIT_DSM_APIC_BASE?: DsmExit<Layout<DsmX2msrBase>>;
};

/** How a VM asks for the exits: KVM_ENABLE_CAP on it, before its first vCPU. */
export interface DsmOptIn {
  /** The kernel's name of the capability. */
  readonly name: string;
  /** Its number. KVM_CHECK_EXTENSION answers with the bits that the kernel knows. */
  readonly capability: number;
  /** Bits of args[0]: what makes exits. */
  readonly bits: Readonly<Record<string, number>>;
  /** The bits that a VM of this package asks for unless it is told otherwise. */
  readonly usual: readonly string[];
  /** Where the number and the bits come from. */
  readonly source: string;
}

/** The numbers and layouts of one version of the series, and what user space may rely on with it. */
export interface DsmProfile {
  /** What `--profile` takes. */
  readonly name: string;
  /** One line for people. */
  readonly title: string;
  /** By the kernel's name; what one profile alone has is among them. */
  readonly exits: CommonDsmExits & Readonly<Record<string, DsmExit<unknown>>>;
  /** Left out: every VM of such a kernel makes the exits, and there is nothing to ask for. */
  readonly optIn?: DsmOptIn;
  /** The injection ioctls: each replays what one of the exits told. */
  readonly ioctls: {
    /** A write of the xAPIC's ICR or ICR2. */
    readonly KVM_DSM_IPI: DsmRequest<DsmIpiArg>;
    /** A write of the x2APIC's ICR. */
    readonly KVM_DSM_X2APIC: DsmRequest<DsmX2apicArg>;
    /** A write of IA32_APIC_BASE. */
    readonly KVM_DSM_APIC_BASE: DsmRequest<DsmApicBaseArg>;
  };
  /** The request numbers alone, by name: for `ioctlName`. */
  readonly requests: Readonly<Record<keyof DsmProfile['ioctls'], number>>;
  /** Further requests that such kernels know, by which they are told from others. Each is refused before it acts if it is all zeros. */
  readonly others?: Readonly<
    Record<
      string,
      {
        /** The 32-bit request number. */
        readonly request: number;
        /** Where the number comes from. */
        readonly source: string;
      }
    >
  >;
  /** Left out: an injection ioctl answers 0 for success. `false`: what it answers means nothing. */
  readonly injectionAnswers?: boolean;
  /**
   * Whether the injection ioctls refuse by an errno what they cannot do. Where they do not, some of it takes the kernel
   * down and some is lost, and this package looks before it calls.
   */
  readonly injectionChecks: boolean;
  /** Whether a KVM_RUN with immediate_exit that answers EINTR has left nothing behind that is still to be told. */
  readonly drains: boolean;
}

export type DsmIoctlName = keyof DsmProfile['ioctls'];
