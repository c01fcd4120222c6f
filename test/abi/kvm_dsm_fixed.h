/* What the corrected series puts into <linux/kvm.h>, by its design: padding named, fixed-width types. */
#ifndef KVM_DSM_FIXED_H
#define KVM_DSM_FIXED_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define KVM_EXIT_DSM_SEND_IRQ 45
#define KVM_EXIT_DSM_X2_ICR 46
#define KVM_EXIT_DSM_APIC_BASE 47
#define KVM_EXIT_DSM_PV_IPI 48
#define KVM_CAP_X86_APIC_EXIT 0x4453
#define KVM_X86_APIC_EXIT_ICR (1ULL << 0)
#define KVM_X86_APIC_EXIT_BASE (1ULL << 1)
#define KVM_X86_APIC_EXIT_PV (1ULL << 2)

struct kvm_dsm_lapic_irq {
	__u32 id, val, val2, dest_id;
};
struct kvm_dsm_x2apic {
	__u32 id, pad;
	__u64 data;
};
struct kvm_dsm_x2msr_base {
	__u32 id;
	__u8 host, pad[3];
	__u32 index, pad2;
	__u64 data;
};
struct kvm_dsm_pv_ipi {
	__u32 id, icr, type, base;
	__u64 mask[2];
};
struct kvm_dsm_ipi_arg {
	__s32 vcpu_id;
	__u32 val, val2, dest_id;
};
struct kvm_dsm_x2apic_arg {
	__s32 vcpu_id;
	__u32 pad;
	__u64 data;
};
struct kvm_dsm_apic_base_arg {
	__s32 vcpu_id;
	__u8 host, pad[3];
	__u32 index, pad2;
	__u64 data;
};

#define KVM_DSM_IPI _IOW(0xAE, 0xf3, struct kvm_dsm_ipi_arg)
#define KVM_DSM_X2APIC _IOW(0xAE, 0xf4, struct kvm_dsm_x2apic_arg)
#define KVM_DSM_APIC_BASE _IOW(0xAE, 0xf5, struct kvm_dsm_apic_base_arg)

#endif
