/** Numbers of <linux/kvm.h> that somebody else uses, or has asked for on the lists. */

/** A number, and who has it. */
export interface NumberClaim {
  kind: 'exit' | 'capability' | 'ioctl';
  number: number;
  by: string;
}

/** Not in mainline, most of them. An ioctl's number is its architecture's own: those of arm64 alone are no clash. */
export const claimedNumbers: readonly NumberClaim[] = [
  { kind: 'exit', number: 44, by: 'KVM_EXIT_PLANE_EVENT (planes) and KVM_EXIT_ARM64_TIO, both on the lists' },
  { kind: 'exit', number: 40, by: 'KVM_EXIT_TDX of mainline; an ancestor of the DSM series had it as well' },
  { kind: 'exit', number: 41, by: 'KVM_EXIT_ARM_SEA of mainline; an ancestor of the DSM series had it as well' },
  { kind: 'exit', number: 42, by: 'KVM_EXIT_ARM_LDST64B of mainline; an ancestor of the DSM series had it as well' },
  { kind: 'exit', number: 43, by: 'KVM_EXIT_SNP_REQ_CERTS of mainline; an ancestor of the DSM series had it as well' },
  { kind: 'capability', number: 246, by: 'KVM_CAP_ARM_PER_VCPU_VLPI, on the lists; used by s390 since' },
  { kind: 'capability', number: 247, by: 'KVM_CAP_ARM_MAX_VPEID, on the lists; used by s390 since' },
  { kind: 'capability', number: 249, by: 'KVM_CAP_X86_DSM of the GiantVM kernel' },
  { kind: 'ioctl', number: 0xf0, by: 'a DSM ioctl of the GiantVM kernel' },
  { kind: 'ioctl', number: 0xf1, by: 'a DSM ioctl of the GiantVM kernel' },
  { kind: 'ioctl', number: 0xf2, by: 'a DSM ioctl of the GiantVM kernel' },
];
