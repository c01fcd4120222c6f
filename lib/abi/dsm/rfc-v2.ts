/**
 * Profile `rfc-v2`: the series "KVM: x86: DSM IRQ forwarding" as posted on 2026-06-05, "RFC PATCH v2", three patches.
 * The uapi header of the series hides its definitions behind a Kconfig symbol, so the numbers and layouts are written out
 * here; kernel/rfc-v2/include/uapi/linux/kvm_dsm.h has the same ones in C.
 */
import { _IOW } from '../kvm/request-number.ts';
import { bool, layout, s32, u32, u64 } from '../layout.ts';
import type { DsmProfile } from './types.ts';

/**
 * KVM_EXIT_DSM_SEND_IRQ. Comments in the series call `val` and `val2` the ICR's low and high half; its code stores the
 * register's offset in `val` and the value in `val2`, and the code is what counts.
 */
export const lapicIrq = layout('struct kvm_dsm_lapic_irq', 16, {
  id: u32(0),
  val: u32(4),
  val2: u32(8),
  destId: u32(12),
});

/**
 * KVM_EXIT_DAPIC. The series gives it a number only; this is what an ancestor of it put there, and what the lab kernel's
 * extension does: kernel/rfc-v2/include/uapi/linux/kvm_dsm_exit.h.
 */
export const dapic = layout('struct kvm_dsm_dapic', 8, { localCpuid: u32(0), offset: u32(4) });

/** KVM_EXIT_DSM_X2_ICR. */
export const x2apic = layout('struct kvm_dsm_x2apic', 16, { id: u32(0), data: u64(8) });

/** KVM_EXIT_DSM_APIC_BASE. */
export const x2msrBase = layout('struct kvm_dsm_x2msr_base', 24, {
  id: u32(0),
  host: bool(4),
  index: u32(8),
  data: u64(16),
});

/** KVM_DSM_IPI. */
export const dsmIpiArg = layout('struct kvm_dsm_ipi_arg', 16, {
  vcpuId: s32(0),
  val: u32(4),
  val2: u32(8),
  destId: u32(12),
});

/** KVM_DSM_X2APIC. */
export const dsmX2apicArg = layout('struct kvm_dsm_x2apic_arg', 16, { vcpuId: s32(0), data: u64(8) });

/** KVM_DSM_APIC_BASE. */
export const dsmApicBaseArg = layout('struct kvm_dsm_apic_base_arg', 24, {
  vcpuId: s32(0),
  host: bool(4),
  index: u32(8),
  data: u64(16),
});

const requests = {
  KVM_DSM_IPI: _IOW(0xf3, dsmIpiArg.size),
  KVM_DSM_X2APIC: _IOW(0xf4, dsmX2apicArg.size),
  KVM_DSM_APIC_BASE: _IOW(0xf5, dsmApicBaseArg.size),
};

const patch1 = 'RFC PATCH v2 1/3, include/uapi/linux/kvm.h';
const patch3 = 'RFC PATCH v2 3/3, include/uapi/linux/kvm.h';

/** The default profile. */
export const rfcV2 = {
  name: 'rfc-v2',
  title: 'DSM IRQ forwarding, RFC PATCH v2 of 2026-06-05',
  exits: {
    KVM_EXIT_DAPIC: {
      reason: 44,
      payload: dapic,
      emitted: false,
      source: `${patch1}: a number without a payload; the payload is that of an ancestor`,
    },
    KVM_EXIT_DSM_SEND_IRQ: {
      reason: 45,
      payload: lapicIrq,
      emitted: true,
      source: `${patch1}: lapic_irq; filled by 2/3, arch/x86/kvm/x86.c`,
    },
    KVM_EXIT_DSM_X2_ICR: { reason: 46, payload: x2apic, emitted: false, source: `${patch1}: x2apic` },
    KVM_EXIT_DSM_APIC_BASE: { reason: 47, payload: x2msrBase, emitted: false, source: `${patch1}: x2msr_base` },
  },
  ioctls: {
    KVM_DSM_IPI: { request: requests.KVM_DSM_IPI, argument: dsmIpiArg, source: patch3 },
    KVM_DSM_X2APIC: { request: requests.KVM_DSM_X2APIC, argument: dsmX2apicArg, source: patch3 },
    KVM_DSM_APIC_BASE: { request: requests.KVM_DSM_APIC_BASE, argument: dsmApicBaseArg, source: patch3 },
  },
  requests,
  injectionChecks: false,
  drains: false,
} satisfies DsmProfile;
