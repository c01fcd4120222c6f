/**
 * vLPIs of one vCPU at a time, on arm64 with GICv4: the numbers and layouts of a series that the maintainers refused.
 * They mean this on arm64 alone; on x86 KVM_DSM_IPI has the number 0xf3. Source: "RFC PATCH 00/13 Introduce per-vCPU
 * vLPI injection control API", 2025-11-20, include/uapi/linux/kvm.h.
 */
import { _IOR, _IOW } from './kvm/request-number.ts';
import { layout, s32, u32, u64 } from './layout.ts';

/** Where these numbers mean something, as `process.arch` spells it. */
export const VLPI_ARCHITECTURE = 'arm64';

/** Capabilities. The kernel has given both numbers to others since: the answer of KVM_CHECK_EXTENSION proves nothing. */
export const vlpiCapabilities = {
  KVM_CAP_ARM_PER_VCPU_VLPI: 246,
  KVM_CAP_ARM_MAX_VPEID: 247,
} as const;

/** `int *`: what the three ioctls about one vCPU take. */
export const vlpiVcpuId = layout('int', 4, { vcpuId: s32(0) });

/** struct kvm_debug_gic_msi_setup: KVM_DEBUG_GIC_MSI_SETUP. `ittAddr` is a guest physical address. */
export const kvmDebugGicMsiSetup = layout('struct kvm_debug_gic_msi_setup', 32, {
  deviceId: u32(0),
  eventId: u32(4),
  vcpuId: u32(8),
  vintid: u32(12),
  hostIrq: u32(16),
  ittAddr: u64(24),
});

/** Requests on a VM. */
export const vlpiIoctls = {
  KVM_ENABLE_VCPU_VLPI: _IOW(0xf0, vlpiVcpuId.size),
  KVM_DISABLE_VCPU_VLPI: _IOW(0xf1, vlpiVcpuId.size),
  // Declared with _IOR although the kernel reads the argument, and answers by what the call returns.
  KVM_QUERY_VCPU_VLPI: _IOR(0xf2, vlpiVcpuId.size),
  KVM_DEBUG_GIC_MSI_SETUP: _IOW(0xf3, kvmDebugGicMsiSetup.size),
} as const;
export type VlpiIoctlName = keyof typeof vlpiIoctls;
