/** Every struct that the ioctls of an x86 VM and vCPU take: one import for the classes above. */
export * from './irqchip.ts';
export * from './msr-cpuid.ts';
export * from './regs.ts';
export * from './stats.ts';
export * from './vcpu-state.ts';
export * from './vm-state.ts';
