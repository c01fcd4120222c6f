/** What a kernel does with a guest's ICR writes, found out by some. */
import { encodeIcr, encodeIcr2 } from '../abi/apic/icr.ts';
import { APIC_DEFAULT_PHYS_BASE, type LapicRegisterName, lapicRegisters } from '../abi/apic/lapic.ts';
import { type DsmProfile, profileCheck } from '../abi/dsm/profiles.ts';
import { mpStates } from '../abi/kvm/index.ts';
import { checkInstance } from '../base/check.ts';
import { UnsupportedError } from '../base/errors.ts';
import { boolean, optional, shape } from '../base/shape.ts';
import type { Exit } from '../exit/exit.ts';
import { describeExit } from '../exit/text.ts';
import { write32 } from '../guest/bytes.ts';
import { Kvm } from '../kvm/kvm.ts';
import { PROBE_DONE_PORT, runTinyGuest, type TinyVmOptions, withTinyVm } from './tiny-vm.ts';

/** How `forwardsIcrWrites()` asks. */
export interface ProbeOptions {
  /** Inhibit APICv for the probe's VM. Default true. */
  inhibit?: boolean;
  /** Whose exits count as forwarding; default: as the KVM device was opened with. */
  profile?: DsmProfile;
}

const probeOptions = shape<ProbeOptions>('the probe takes', {
  inhibit: optional(boolean),
  profile: optional(profileCheck),
});

/** What became of guests' ICR writes: `failed` if a guest did not even get to them. */
export interface IcrProbe {
  outcome: 'forwarded' | 'silent' | 'failed';
  /** What the guest left with, in words. */
  exit: string;
  /** That exit. */
  left: Exit;
}

const write = (register: LapicRegisterName, value: number) =>
  write32(APIC_DEFAULT_PHYS_BASE + lapicRegisters[register], value);

/** Both registers, with nobody to send to. */
const ipi = [
  write('ICR2', encodeIcr2({ destination: 0x77 })),
  write('ICR', encodeIcr({ vector: 0xfe, shorthand: 'allExcludingSelf' })),
];

/** A kernel that loses some writes, or those of a LAPIC that is off, forwards all the same: how well is for checks to say. */
const writes = [write('ICR2', 0), ...ipi, write('SVR', 0x1ff), write('TPR', 0x10), ...ipi, ...ipi];

const vms = [
  { irqchip: 'full', vcpuId: 0 },
  { irqchip: 'split', vcpuId: 1 },
] as const;

/**
 * Finds out by behaviour what this kernel does with ICR writes: a guest writes ICR2 and ICR some times, which sends nothing,
 * and leaves; if nothing comes out, one more does in another VM. There is no KVM_CAP to ask.
 *
 * @throws DeadlineError, IoctlError if KVM cannot run the guest at all
 */
export function probeIcrWrite(kvm: Kvm, options: ProbeOptions = {}): IcrProbe {
  checkInstance('kvm', kvm, Kvm);
  const { profile = kvm.profile, inhibit = true } = probeOptions.take(options);
  const found: IcrProbe[] = [];
  for (const options of vms) {
    if (options.irqchip === 'split' && kvm.checkExtension('KVM_CAP_SPLIT_IRQCHIP') === 0) continue;
    const one = probeOnce(kvm, { ...options, inhibit }, profile);
    if (one.outcome === 'forwarded') return one;
    found.push(one);
  }
  return found.find(({ outcome }) => outcome === 'silent') ?? found[0]!;
}

function probeOnce(kvm: Kvm, options: Omit<TinyVmOptions, 'pages'>, profile: DsmProfile): IcrProbe {
  return withTinyVm(kvm, { ...options, pages: 2 }, (_vm, vcpu, memory) => {
    vcpu.setMpState(mpStates.KVM_MP_STATE_RUNNABLE);
    const exit = runTinyGuest(vcpu, memory, writes, profile);
    const done = exit.name === 'KVM_EXIT_IO' && exit.port === PROBE_DONE_PORT;
    const outcome = exit.name === 'KVM_EXIT_DSM_SEND_IRQ' ? 'forwarded' : done ? 'silent' : 'failed';
    return { outcome, exit: describeExit(exit), left: exit };
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
