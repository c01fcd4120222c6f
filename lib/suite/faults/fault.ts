/** A fault that the lab's kernel can be given: kernel/fault/arch/x86/kvm/dsm_fault.c. */
export interface Fault {
  /** What to write to the parameter. */
  readonly name: string;
  /** The same as a number; 0 is none. */
  readonly number: number;
  /** What the kernel does wrong. */
  readonly what: string;
  /** The checks whose claims it breaks: ids, or globs of them. Under it, no other check may say anything else. */
  readonly breaks: readonly string[];
}

/**
 * The parameter of a kernel with CONFIG_KVM_DSM_FAULT. Takes a name or a number; `none` or 0 is the series as it is. Reads
 * as every name in the order of the numbers, the chosen one in brackets. To be written while no VM is there.
 */
export const FAULT_PARAMETER = '/sys/module/kvm/parameters/dsm_fault';

/**
 * Takes drawn faults, one with each write, `reset` and `none`. Reads as the numbers, from 0, of those that could have struck
 * since: `0,3-5`.
 */
export const WATCH_PARAMETER = '/sys/module/kvm/parameters/dsm_fault_watch';

/** The reason of a check that does not run since another one has noticed the fault. */
export const NOTICED = 'the fault has been noticed';
