/**
 * Profile `gvm-old`: what GiantVM's user space of 2025 speaks, GiantVM/GVM-qemu before it followed the series: exits 41 to 43, no
 * KVM_EXIT_DAPIC, and no destination in a write's notice or in its replay. The kernel of that time is not public: what it
 * emits besides 41 is not known. 41 to 43 are other exits in mainline, and none of them comes of a guest's ICR write.
 */
import { _IOW } from '../kvm/request-number.ts';
import { layout, s32, u32 } from '../layout.ts';
import { sharedMemoryRequests } from './gvm-main.ts';
import { dsmIpiArg, rfcV2 } from './rfc-v2.ts';
import type { DsmIpiArg, DsmProfile } from './types.ts';

/** KVM_EXIT_DSM_SEND_IRQ without the destination. */
export const lapicIrqOld = layout('struct kvm_dsm_lapic_irq_old', 12, { id: u32(0), val: u32(4), val2: u32(8) });

/** KVM_DSM_IPI without the destination. */
export const dsmIpiArgOld = layout('struct kvm_dsm_ipi_arg_old', 12, { vcpuId: s32(0), val: u32(4), val2: u32(8) });

const uapi = 'GiantVM/GVM-qemu, commit 0694d703, linux-headers/linux/kvm.h';

const requests = {
  KVM_DSM_IPI: _IOW(0xf3, dsmIpiArgOld.size),
  KVM_DSM_X2APIC: rfcV2.requests.KVM_DSM_X2APIC,
  KVM_DSM_APIC_BASE: rfcV2.requests.KVM_DSM_APIC_BASE,
};

const { KVM_EXIT_DSM_X2_ICR, KVM_EXIT_DSM_APIC_BASE } = rfcV2.exits;
const { KVM_DSM_X2APIC, KVM_DSM_APIC_BASE } = rfcV2.ioctls;

/** A caller's destination has no place in it; what is checked of it is the same. */
function encodeIpi({ destId, ...arg }: Partial<DsmIpiArg>) {
  if (destId !== undefined) dsmIpiArg.encode({ destId });
  return dsmIpiArgOld.encode(arg);
}

export const gvmOld = {
  name: 'gvm-old',
  title: "the numbers of GiantVM's user space of 2025: exits 41 to 43, no dest_id",
  exits: {
    KVM_EXIT_DSM_SEND_IRQ: { reason: 41, payload: lapicIrqOld, emitted: true, source: `${uapi}: lapic_irq` },
    KVM_EXIT_DSM_X2_ICR: { ...KVM_EXIT_DSM_X2_ICR, reason: 42, source: `${uapi}: x2apic` },
    KVM_EXIT_DSM_APIC_BASE: { ...KVM_EXIT_DSM_APIC_BASE, reason: 43, source: `${uapi}: x2msr_base` },
  },
  ioctls: {
    KVM_DSM_IPI: { request: requests.KVM_DSM_IPI, argument: { ...dsmIpiArgOld, encode: encodeIpi }, source: uapi },
    KVM_DSM_X2APIC: { ...KVM_DSM_X2APIC, source: uapi },
    KVM_DSM_APIC_BASE: { ...KVM_DSM_APIC_BASE, source: uapi },
  },
  requests,
  others: {
    KVM_DSM_MEMCPY: { request: sharedMemoryRequests.KVM_DSM_MEMCPY, source: uapi },
    KVM_DSM_MEMPIN: { request: sharedMemoryRequests.KVM_DSM_MEMPIN, source: uapi },
  },
  injectionChecks: false,
  drains: false,
} satisfies DsmProfile;
