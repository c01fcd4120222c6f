import { APIC_DEFAULT_PHYS_BASE, lapicRegisters } from '../abi/apic/lapic.ts';
import { checkProfile, type DsmProfile } from '../abi/dsm/profiles.ts';
import { checkInstance, checkObject } from '../base/check.ts';
import { IoctlError, UnsupportedError } from '../base/errors.ts';
import { describeExit } from '../exit/decode.ts';
import { flat32, out8, write32 } from '../guest/bytes.ts';
import { enterFlat32 } from '../guest/enter-flat32.ts';
import { GuestMemory, PAGE_SIZE } from '../kvm/guest-memory.ts';
import { Kvm } from '../kvm/kvm.ts';
import { TSS_ADDRESS } from '../kvm/vm/vm.ts';
import { inhibitApicv } from './apicv.ts';

export interface ProbeOptions {
  /** Inhibit APICv for the probe's VM. Default true. */
  inhibit?: boolean;
  profile?: DsmProfile;
}

/** Where the probe's guest leaves. Ports 0x20 and 0x21 belong to the PIC. */
const DONE_PORT = 0x10;
/** A guest of two instructions: what takes longer than this is not going to end. */
const DEADLINE = '20s';

/** What became of a guest's ICR2 write: `failed` if the guest did not even get to it. */
export interface IcrProbe {
  outcome: 'forwarded' | 'silent' | 'failed';
  /** What the guest left with, in words. */
  exit: string;
}

/**
 * Finds out by behaviour what this kernel does with ICR writes: a guest writes ICR2, which sends nothing, and leaves.
 * There is no KVM_CAP to ask.
 *
 * @throws DeadlineError, IoctlError if KVM cannot run the guest at all
 */
export function probeIcrWrite(kvm: Kvm, options: ProbeOptions = {}): IcrProbe {
  checkInstance('kvm', kvm, Kvm);
  const profile = checkObject('options', options).profile ?? kvm.profile;
  using vm = kvm.createVm();
  using memory = GuestMemory.allocate(2 * PAGE_SIZE);
  if (vm.checkExtension('KVM_CAP_SET_TSS_ADDR')) vm.setTssAddr(TSS_ADDRESS);
  vm.createIrqchip();
  vm.setMemory({ slot: 0, guestPhysAddr: 0, memory });
  const vcpu = vm.createVcpu(0);
  if (options.inhibit ?? true) inhibitApicv(vm, 1);
  const icr2 = APIC_DEFAULT_PHYS_BASE + lapicRegisters.ICR2;
  memory.write(PAGE_SIZE, flat32(write32(icr2, 0), out8(DONE_PORT)).bytes);
  enterFlat32(vcpu, { rip: PAGE_SIZE, rsp: PAGE_SIZE, interrupts: true });
  const exit = vcpu.run({ deadline: DEADLINE, profile });
  const done = exit.name === 'KVM_EXIT_IO' && exit.port === DONE_PORT;
  const outcome = exit.name === 'KVM_EXIT_DSM_SEND_IRQ' ? 'forwarded' : done ? 'silent' : 'failed';
  return { outcome, exit: describeExit(exit) };
}

/**
 * True if this kernel forwards ICR writes.
 *
 * @throws UnsupportedError if the probe's guest does not come to its write; DeadlineError, IoctlError
 */
export function forwardsIcrWrites(kvm: Kvm, options: ProbeOptions = {}): boolean {
  const { outcome, exit } = probeIcrWrite(kvm, options);
  if (outcome === 'failed') throw new UnsupportedError(exit, 'A guest of two instructions');
  return outcome === 'forwarded';
}

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
