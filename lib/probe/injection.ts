/** Whether a kernel has the injection ioctls, found out by one. */
import { lapicRegisters } from '../abi/apic/lapic.ts';
import { checkProfile, type DsmProfile } from '../abi/dsm/profiles.ts';
import { checkInstance } from '../base/check.ts';
import { IoctlError } from '../base/errors.ts';
import { Kvm } from '../kvm/kvm.ts';

/**
 * True if this kernel has the injection ioctls (patch 3/3), found out by a replayed write of TPR = 0, which changes nothing,
 * on a VM with all that it needs.
 *
 * @throws IoctlError, ArgumentError
 */
export function knowsInjection(kvm: Kvm, profile: DsmProfile = kvm.profile): boolean {
  checkInstance('kvm', kvm, Kvm);
  checkProfile(profile);
  using vm = kvm.createVm();
  vm.createIrqchip();
  vm.createVcpu(0);
  const { request, argument } = profile.ioctls.KVM_DSM_IPI;
  try {
    vm.ioctlRaw(request, argument.encode({ vcpuId: 0, val: lapicRegisters.TPR, val2: 0, destId: 0 }));
    return true;
  } catch (error) {
    if (error instanceof IoctlError && error.errnoName === 'ENOTTY') return false;
    throw error;
  }
}
