/** Where in the series most claims come from. */

/** Where the kernel sees a guest's write of ICR or ICR2. */
export const HOOK = 'patch 2/3, arch/x86/kvm/lapic.c: apic_mmio_write';
/** Where it makes the exit of what the vCPU's slot holds. */
export const SLOT = 'patch 2/3, arch/x86/kvm/x86.c: vcpu_enter_guest';
