/**
 * Profile `gvm-main`: GiantVM/GVM-kernel, branch `main` (Linux 7.1-rc3), the whole distributed shared memory. Exits and
 * injection ioctls have the numbers and layouts of the series; the ioctls of the shared memory are there besides, and all
 * of them hang on CONFIG_KVM_DSM.
 */
import { _IOW } from '../kvm/request-number.ts';
import { rfcV2 } from './rfc-v2.ts';
import type { DsmProfile } from './types.ts';

const repository = 'GiantVM/GVM-kernel, branch main';
const uapi = `${repository}, include/uapi/linux/kvm.h`;
const code = `${repository}, arch/x86/kvm/dsm.c: kvm_vm_ioctl_dsm`;

/** KVM_CAP_X86_DSM: the header has the number, Documentation/virt/kvm/x86/dsm.rst tells user space to ask for it. */
export const KVM_CAP_X86_DSM = 249;

/** The ioctls of the shared memory: struct kvm_dsm_params, kvm_dsm_memcpy and kvm_dsm_mempin. */
export const sharedMemoryRequests = {
  KVM_DSM_ENABLE: _IOW(0xf0, 16),
  KVM_DSM_MEMCPY: _IOW(0xf1, 32),
  KVM_DSM_MEMPIN: _IOW(0xf2, 24),
};

const { KVM_EXIT_DAPIC, KVM_EXIT_DSM_SEND_IRQ, KVM_EXIT_DSM_X2_ICR, KVM_EXIT_DSM_APIC_BASE } = rfcV2.exits;
const { KVM_DSM_IPI, KVM_DSM_X2APIC, KVM_DSM_APIC_BASE } = rfcV2.ioctls;

export const gvmMain = {
  name: 'gvm-main',
  title: "GiantVM's main branch: the whole DSM, on Linux 7.1-rc3",
  exits: {
    KVM_EXIT_DAPIC: {
      ...KVM_EXIT_DAPIC,
      source: `${uapi}: a number without a payload; the payload is that of an ancestor`,
    },
    KVM_EXIT_DSM_SEND_IRQ: {
      ...KVM_EXIT_DSM_SEND_IRQ,
      source: `${uapi}: lapic_irq; filled in arch/x86/kvm/x86.c: vcpu_enter_guest`,
    },
    KVM_EXIT_DSM_X2_ICR: { ...KVM_EXIT_DSM_X2_ICR, source: `${uapi}: x2apic` },
    KVM_EXIT_DSM_APIC_BASE: { ...KVM_EXIT_DSM_APIC_BASE, source: `${uapi}: x2msr_base` },
  },
  ioctls: {
    // Its documentation and its header call val and val2 the halves of the ICR; the code takes a register and a value.
    KVM_DSM_IPI: { ...KVM_DSM_IPI, source: `${uapi}; ${code}` },
    KVM_DSM_X2APIC: { ...KVM_DSM_X2APIC, source: `${uapi}; ${code}` },
    // What it writes is the address of the value: no vCPU takes it.
    KVM_DSM_APIC_BASE: { ...KVM_DSM_APIC_BASE, source: `${uapi}; ${code}` },
  },
  requests: rfcV2.requests,
  others: {
    KVM_DSM_MEMCPY: { request: sharedMemoryRequests.KVM_DSM_MEMCPY, source: uapi },
    KVM_DSM_MEMPIN: { request: sharedMemoryRequests.KVM_DSM_MEMPIN, source: uapi },
  },
  injectionAnswers: false,
  injectionChecks: false,
  drains: false,
} satisfies DsmProfile;
