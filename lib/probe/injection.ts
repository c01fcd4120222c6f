/** Whether a kernel has the injection ioctls, found out by one. */
import { lapicRegisters } from '../abi/apic/lapic.ts';
import { checkProfile, type DsmProfile } from '../abi/dsm/profiles.ts';
import { checkInstance } from '../base/check.ts';
import { IoctlError } from '../base/errors.ts';
import { Kvm } from '../kvm/kvm.ts';

/**
 * What a kernel answers to KVM_DSM_IPI: `0`, or the errno's name. A replayed write of ICR2 = 0 is asked for, one of the two
 * registers that the series is about; it sends nothing and changes nothing, on a VM with all that it needs.
 */
export function askInjection(kvm: Kvm, profile: DsmProfile = kvm.profile): string {
  using vm = kvm.createVm();
  vm.createIrqchip();
  vm.createVcpu(0);
  const { request, argument } = profile.ioctls.KVM_DSM_IPI;
  try {
    vm.ioctlRaw(request, argument.encode({ vcpuId: 0, val: lapicRegisters.ICR2, val2: 0, destId: 0 }));
    return '0';
  } catch (error) {
    if (error instanceof IoctlError) return error.errnoName;
    throw error;
  }
}

/** Whether such an answer is that of a kernel which knows the ioctl: one that it does not know it answers by ENOTTY alone. */
export const isKnown = (answer: string): boolean => answer !== 'ENOTTY';

/**
 * True if this kernel has the injection ioctls (patch 3/3), found out by asking for one. It may refuse what it is asked for,
 * and knows it all the same.
 *
 * @throws IoctlError if KVM makes no VM to ask, ArgumentError
 */
export function knowsInjection(kvm: Kvm, profile: DsmProfile = kvm.profile): boolean {
  checkInstance('kvm', kvm, Kvm);
  checkProfile(profile);
  return isKnown(askInjection(kvm, profile));
}
