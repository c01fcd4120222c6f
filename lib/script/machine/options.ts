/** What a machine is to be like. */
import { checkProfile, type DsmProfile } from '../../abi/dsm/profiles.ts';
import { checkChoice, checkFunction, checkInteger, checkObject } from '../../base/check.ts';
import { ArgumentError } from '../../base/errors.ts';
import { GuestLayout } from '../../guest/layout.ts';
import type { SynicPages } from '../../hyperv/synic.ts';
import type { Cpuid } from '../../kvm/cpuid.ts';
import type { Session } from '../session.ts';

export interface MachineOptions {
  /** How many vCPUs, with vcpu_id and APIC id 0, 1, ...: 1 to 64. Default 1. */
  vcpus?: number;
  /**
   * Guest memory in bytes from guest physical address 0, a multiple of 4096. Default 2 MiB, more if the vCPUs need it;
   * what they and the machine's tables leave begins at `shared`.
   */
  memory?: number;
  /** Where the interrupt controllers are: all in the kernel, local APICs in the kernel, or none. Default full. */
  irqchip?: 'full' | 'split' | 'none';
  /**
   * How the local APICs are at first: as after reset (software-disabled, so that they take no IPI until the guest enables
   * them), or enabled, in xAPIC or in x2APIC mode. Default reset.
   */
  apic?: 'reset' | 'xapic' | 'x2apic';
  /** Leave APICv on if the host has it on. Default false: inhibited for this machine, since it hides ICR writes. */
  apicv?: boolean;
  /** What the guests' CPUID shows, made of what KVM supports; such as `hideX2apic`. Default: all that KVM supports. */
  cpuid?: (supported: Cpuid) => Cpuid;
  /**
   * Hyper-V's SynIC for every vCPU (`vcpu.synic`), and Hyper-V's interface in their CPUID. `zero`: KVM clears a page when
   * the guest enables it; `keep`: it does not. Default: none. It needs a kernel with CONFIG_KVM_HYPERV.
   */
  synic?: SynicPages;
  /** Instead of /dev/kvm. */
  device?: string;
  /** Whose exits 44..47 are meant. */
  profile?: DsmProfile;
}

/** The same, checked, every default filled in. */
export interface MachineSetup {
  readonly vcpus: number;
  /** In bytes. */
  readonly memory: number;
  readonly layout: GuestLayout;
  readonly irqchip: 'full' | 'split' | 'none';
  readonly apic: 'reset' | 'xapic' | 'x2apic';
  readonly apicv: boolean;
  readonly cpuid: (supported: Cpuid) => Cpuid;
  readonly synic: SynicPages | undefined;
  readonly device: string;
  readonly profile: DsmProfile;
}

const MAX_VCPUS = 64;
const DEFAULT_MEMORY = 2 << 20;

/** @throws ArgumentError */
export function checkSetup(options: MachineOptions, session: Session): MachineSetup {
  const vcpus = checkInteger('vcpus', checkObject('options', options).vcpus ?? 1, 1, MAX_VCPUS);
  const irqchip = checkChoice('irqchip', options.irqchip ?? 'full', ['full', 'split', 'none'] as const);
  const apic = checkChoice('apic', options.apic ?? 'reset', ['reset', 'xapic', 'x2apic'] as const);
  if (apic !== 'reset' && irqchip === 'none')
    throw new ArgumentError('apic', `${apic} without an in-kernel local APIC`, 'Leave `irqchip: "none"` out.');
  const { synic, cpuid = (supported) => supported } = options;
  if (synic !== undefined) checkChoice('synic', synic, ['zero', 'keep'] as const);
  if (synic !== undefined && irqchip === 'none')
    throw new ArgumentError('synic', 'a SynIC without an in-kernel local APIC', 'Leave `irqchip: "none"` out.');
  checkFunction('cpuid', cpuid);
  const profile = checkProfile(options.profile ?? session.profile);
  if (options.memory !== undefined) checkInteger('memory', options.memory, 0, Number.MAX_SAFE_INTEGER);
  const layout = new GuestLayout(vcpus);
  const memory = options.memory ?? Math.max(DEFAULT_MEMORY, layout.end);
  if (memory < layout.end)
    throw new ArgumentError('memory', `${memory} bytes for ${vcpus} vCPUs`, `Give at least ${layout.end} bytes.`);
  return {
    vcpus,
    memory,
    layout,
    irqchip,
    apic,
    apicv: options.apicv ?? false,
    cpuid,
    synic,
    device: options.device ?? session.device,
    profile,
  };
}
