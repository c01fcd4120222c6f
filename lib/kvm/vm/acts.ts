/** What a VM is told to do to its guests, as data: a trace has it beside the exits. */
import type { DsmApicBaseArg, DsmIpiArg, DsmX2apicArg } from '../../abi/dsm/profiles.ts';
import type { MsiMessage } from '../../abi/kvm/gsi-route.ts';

/** What became of an interrupt line's change (KVM_IRQ_LINE_STATUS): how many vCPUs got it, or why none did. */
export type IrqLineStatus = { delivered: number } | 'coalesced' | 'ignored';

/** An interrupt from the host that the kernel has taken, by its ioctl; every default is filled in. */
export type VmAct =
  /** `delivered`: false if the guest blocked it. */
  | { readonly ioctl: 'KVM_SIGNAL_MSI'; readonly message: Required<MsiMessage>; readonly delivered: boolean }
  | { readonly ioctl: 'KVM_IRQ_LINE'; readonly gsi: number; readonly level: boolean }
  | {
      readonly ioctl: 'KVM_IRQ_LINE_STATUS';
      readonly gsi: number;
      readonly level: boolean;
      readonly status: IrqLineStatus;
    }
  | { readonly ioctl: 'KVM_DSM_IPI'; readonly write: DsmIpiArg }
  | { readonly ioctl: 'KVM_DSM_X2APIC'; readonly write: DsmX2apicArg }
  | { readonly ioctl: 'KVM_DSM_APIC_BASE'; readonly write: DsmApicBaseArg };

/** Gets each act, at once after the ioctl. */
export type VmActListener = (act: VmAct) => void;
