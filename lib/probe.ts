import { type DsmProfile, defaultProfile } from './abi/dsm/profile.ts';
import { APIC_DEFAULT_PHYS_BASE, lapicRegisters } from './abi/lapic.ts';
import { inhibitApicv } from './apicv.ts';
import { enterFlat32 } from './guest/enter-flat32.ts';
import { flat32, out8, write32 } from './guest/flat32.ts';
import type { Kvm } from './kvm.ts';
import { GuestMemory, PAGE_SIZE } from './memory.ts';

export interface ProbeOptions {
  /** Inhibit APICv for the probe's VM. Default true. */
  inhibit?: boolean;
  profile?: DsmProfile;
}

/** Where the probe's guest leaves. Ports 0x20 and 0x21 belong to the PIC. */
const DONE_PORT = 0x10;
/** A guest of two instructions: what takes longer than this is not going to end. */
const DEADLINE = '20s';

/**
 * Finds out by behaviour whether this kernel forwards ICR writes: a guest writes ICR2, which sends nothing, and leaves.
 * There is no KVM_CAP to ask.
 *
 * @returns true if the write came out as KVM_EXIT_DSM_SEND_IRQ
 * @throws DeadlineError, IoctlError if KVM cannot run the guest at all
 */
export function forwardsIcrWrites(kvm: Kvm, options: ProbeOptions = {}): boolean {
  const profile = options.profile ?? defaultProfile;
  using vm = kvm.createVm();
  using memory = GuestMemory.allocate(2 * PAGE_SIZE);
  if (vm.checkExtension('KVM_CAP_SET_TSS_ADDR')) vm.setTssAddr(0xfffb_d000);
  vm.createIrqchip();
  vm.setMemory({ slot: 0, guestPhysAddr: 0, memory });
  const vcpu = vm.createVcpu(0);
  if (options.inhibit ?? true) inhibitApicv(vm, 1);
  const icr2 = APIC_DEFAULT_PHYS_BASE + lapicRegisters.ICR2;
  memory.write(PAGE_SIZE, flat32(write32(icr2, 0), out8(DONE_PORT)).bytes);
  enterFlat32(vcpu, { rip: PAGE_SIZE, rsp: PAGE_SIZE, interrupts: true });
  return vcpu.run({ deadline: DEADLINE, profile }).name === 'KVM_EXIT_DSM_SEND_IRQ';
}
