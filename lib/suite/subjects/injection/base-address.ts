/** What GiantVM's main branch does with KVM_DSM_APIC_BASE. */
import type { Shortfall } from '../../check.ts';

/** GiantVM's main branch hands on the address of the value, which no vCPU takes. */
export const BASE_ADDRESS: Shortfall = {
  profiles: ['gvm-main'],
  reason: 'KVM_DSM_APIC_BASE writes the address of the value to IA32_APIC_BASE, and no vCPU takes that',
  source: 'GiantVM/GVM-kernel, branch main, arch/x86/kvm/dsm.c: kvm_apic_set_base(vcpu, &msr_info.data, ...)',
  cause: /after the replay/,
};
