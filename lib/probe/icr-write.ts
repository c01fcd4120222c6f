/** What a kernel does with a guest's ICR writes, found out by one. */
import { APIC_DEFAULT_PHYS_BASE, lapicRegisters } from '../abi/apic/lapic.ts';
import { type DsmProfile, profileCheck } from '../abi/dsm/profiles.ts';
import { checkInstance } from '../base/check.ts';
import { UnsupportedError } from '../base/errors.ts';
import { boolean, optional, shape } from '../base/shape.ts';
import { describeExit } from '../exit/text.ts';
import { write32 } from '../guest/bytes.ts';
import { Kvm } from '../kvm/kvm.ts';
import { PROBE_DONE_PORT, runTinyGuest, withTinyVm } from './tiny-vm.ts';

export interface ProbeOptions {
  /** Inhibit APICv for the probe's VM. Default true. */
  inhibit?: boolean;
  profile?: DsmProfile;
}

const probeOptions = shape<ProbeOptions>('the probe takes', {
  inhibit: optional(boolean),
  profile: optional(profileCheck),
});

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
  const { profile = kvm.profile, inhibit = true } = probeOptions.take(options);
  return withTinyVm(kvm, { pages: 2, inhibit }, (_vm, vcpu, memory) => {
    const exit = runTinyGuest(vcpu, memory, [write32(APIC_DEFAULT_PHYS_BASE + lapicRegisters.ICR2, 0)], profile);
    const done = exit.name === 'KVM_EXIT_IO' && exit.port === PROBE_DONE_PORT;
    const outcome = exit.name === 'KVM_EXIT_DSM_SEND_IRQ' ? 'forwarded' : done ? 'silent' : 'failed';
    return { outcome, exit: describeExit(exit) };
  });
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
