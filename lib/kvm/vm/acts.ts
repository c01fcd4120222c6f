/** What a VM is told to do to its guests, as data: a trace has it beside the exits. */
import type { DsmApicBaseArg, DsmIpiArg, DsmX2apicArg } from '../../abi/dsm/profiles.ts';
import type { MsiMessage } from '../../abi/kvm/gsi-route.ts';

/**
 * What became of a change of an interrupt line (KVM_IRQ_LINE_STATUS): it was delivered; `coalesced`: one was pending already;
 * `ignored`: it is masked, or was not delivered for another reason. Source: Documentation/virt/kvm/api.rst.
 */
export type IrqLineStatus =
  | {
      /** To how many vCPUs, as KVM counts over the line's controllers: of one vCPU's interrupt it may count several. */
      delivered: number;
    }
  | 'coalesced'
  | 'ignored';

/** An interrupt from the host that the kernel has taken, by its ioctl; every default is filled in. */
export type VmAct =
  | {
      /** A device's message: `vm.signalMsi`. */
      readonly ioctl: 'KVM_SIGNAL_MSI';
      /** What the device wrote, and to where. */
      readonly message: Required<MsiMessage>;
      /** False if the guest blocked it. */
      readonly delivered: boolean;
    }
  | {
      /** A line of the interrupt controllers was set: `vm.irqLine`. */
      readonly ioctl: 'KVM_IRQ_LINE';
      /** Which line. */
      readonly gsi: number;
      /** True: high. */
      readonly level: boolean;
    }
  | {
      /** The same by `vm.irqLineStatus`. */
      readonly ioctl: 'KVM_IRQ_LINE_STATUS';
      /** Which line. */
      readonly gsi: number;
      /** True: high. */
      readonly level: boolean;
      /** What became of it. */
      readonly status: IrqLineStatus;
    }
  | {
      /** A write of ICR or ICR2 was replayed: `vm.dsmIpi`. */
      readonly ioctl: 'KVM_DSM_IPI';
      /** The argument. */
      readonly write: DsmIpiArg;
    }
  | {
      /** A write of the x2APIC's ICR was replayed: `vm.dsmX2apic`. */
      readonly ioctl: 'KVM_DSM_X2APIC';
      /** The argument. */
      readonly write: DsmX2apicArg;
    }
  | {
      /** A write of IA32_APIC_BASE was replayed: `vm.dsmApicBase`. */
      readonly ioctl: 'KVM_DSM_APIC_BASE';
      /** The argument. */
      readonly write: DsmApicBaseArg;
    };

/** Gets each act, at once after the ioctl. */
export type VmActListener = (act: VmAct) => void;
