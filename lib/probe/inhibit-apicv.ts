/** How a VM is kept from APICv. */
import { APIC_BASE_ENABLE } from '../abi/apic/msr.ts';
import { KVM_GUESTDBG_BLOCKIRQ, KVM_GUESTDBG_ENABLE } from '../abi/kvm/index.ts';
import { checkInstance } from '../base/check.ts';
import { Vm } from '../kvm/vm/vm.ts';

/**
 * Makes KVM handle every LAPIC access of this VM in software, whatever the host's module says, and changes nothing on
 * the host: a vCPU under KVM_GUESTDBG_BLOCKIRQ inhibits APICv for its whole VM. That vCPU never runs, and its APIC is
 * off, so that no IPI finds it.
 *
 * @param vcpuId an id that the guest does not use
 * @returns false if the kernel cannot (KVM_CAP_SET_GUEST_DEBUG2 without BLOCKIRQ: before 5.17)
 */
export function inhibitApicv(vm: Vm, vcpuId: number): boolean {
  checkInstance('vm', vm, Vm);
  if ((vm.checkExtension('KVM_CAP_SET_GUEST_DEBUG2') & KVM_GUESTDBG_BLOCKIRQ) === 0) return false;
  const parked = vm.createVcpu(vcpuId);
  const sregs = parked.getSregs();
  parked.setSregs({ ...sregs, apicBase: sregs.apicBase & ~APIC_BASE_ENABLE });
  parked.setGuestDebug({ control: KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_BLOCKIRQ });
  return true;
}
