/** What a VM's parts see of it: its file descriptor, its vCPUs, and what other parts have made of it. */
import type { DsmProfile } from '../../abi/dsm/profiles.ts';
import type { DeskCalls } from '../desk.ts';
import type { KernelCalls } from '../handle.ts';
import type { IrqchipKind } from '../irqchip-kind.ts';
import type { NativeVm } from '../native.ts';
import type { VmAct } from './acts.ts';

/** The calls of the VM's file descriptor. */
export interface VmCalls extends KernelCalls<NativeVm>, DeskCalls {
  /** KVM_SIGNAL_MSI with the argument on the desk: the kernel's answer, 0 or more. */
  sendMsi(): number;
}

export type { IrqchipKind } from '../irqchip-kind.ts';

/** As much of a vCPU as its VM's parts need. */
export interface VmVcpu {
  readonly vcpuId: number;
  /** KVM_GET_SREGS, which needs the vCPU to be out of the guest. */
  getSregs(): { readonly apicBase: bigint };
  /** IA32_APIC_BASE. The kernel is asked only if something may have changed it since it was asked last. */
  apicBase(): bigint;
  /** Something was done that may have changed IA32_APIC_BASE. */
  forgetApicBase(): void;
}

/** What of the VM is not its file descriptor. */
export interface VmHost {
  /** Whose ioctls are meant where a call does not say. */
  readonly profile: DsmProfile;
  /** By vcpu_id, in the order of their making. */
  readonly vcpus: ReadonlyMap<number, VmVcpu>;
  irqchip(): IrqchipKind;
  /** Somebody wants to be told of acts. */
  readonly isHeard: boolean;
  /** The same of messages. */
  readonly hasMessagesHeard: boolean;
  /** Tells of an act that the kernel has taken. */
  acted(act: VmAct): void;
}
