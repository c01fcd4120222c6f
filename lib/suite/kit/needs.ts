/** What a check may need of a kernel, and how it is found out. */
import type { DsmExitName, DsmIoctlName, DsmProfile } from '../../abi/dsm/profiles.ts';
import type { capabilities } from '../../abi/kvm/capability.ts';
import { laneHere } from '../../host/lane.ts';
import { irqForwardingParameter } from '../../kvm/vfio/kvm-device.ts';
import { labFunction } from '../../kvm/vfio/lab-function.ts';
import { reservedExitParameters } from '../../probe/reserved-exits.ts';
import type { Facts } from '../run/facts.ts';

/** What a need is asked about. */
export interface TestedHost {
  /** What is known of it. */
  facts: Facts;
  /** What the kernel is judged by. */
  profile: DsmProfile;
  /** KVM_CHECK_EXTENSION on the device. */
  capability(cap: keyof typeof capabilities | number): number;
}

/** Something that a check cannot do without. */
export interface Need {
  /** For documents: a few words. */
  name: string;
  /** Why it is not there, for a person; `null` if it is. */
  missing(world: TestedHost): string | null;
}

const NO_MODULE = 'neither kvm_intel nor kvm_amd runs guests here';

function need(name: string, missing: Need['missing']): Need {
  return { name, missing };
}

/** The kernel forwards ICR writes (patch 2/3), for a VM that inhibits APICv. */
export const forwarding = need('a kernel that forwards ICR writes', ({ facts }) =>
  facts.forwards ? null : notForwarded(facts),
);

function notForwarded({ failedProbes: { forwarding: failed } }: Facts): string {
  if (failed === undefined) return 'this kernel does not forward ICR writes';
  return `it was not found out whether this kernel forwards ICR writes: ${failed}`;
}

/** A kernel without the series. */
export const stockKernel = need('a kernel without the series', ({ facts }) => {
  if (facts.forwards) return 'this kernel forwards ICR writes';
  return facts.failedProbes.forwarding === undefined ? null : notForwarded(facts);
});

/** One of the injection ioctls of patch 3/3. */
function injects(ioctl: DsmIoctlName, name: keyof Facts['injects']): Need {
  return need(ioctl, ({ facts }) => {
    if (facts.injects[name]) return null;
    const failed = facts.failedProbes[name];
    return failed === undefined
      ? `this kernel lacks an injection ioctl: ${ioctl} is not known to it`
      : `it was not found out whether this kernel knows ${ioctl}: ${failed}`;
  });
}

/** The kernel knows KVM_DSM_IPI (patch 3/3). */
export const ipiInjection = injects('KVM_DSM_IPI', 'ipi');
/** The kernel knows KVM_DSM_X2APIC (patch 3/3). */
export const x2apicInjection = injects('KVM_DSM_X2APIC', 'x2apic');
/** The kernel knows KVM_DSM_APIC_BASE (patch 3/3). */
export const baseInjection = injects('KVM_DSM_APIC_BASE', 'base');

/** A profile whose kernels make an exit by themselves. */
export function emits(exit: DsmExitName): Need {
  return need(`a profile that has ${exit}`, ({ profile }) =>
    profile.exits[exit]?.emitted ? null : `a kernel of profile ${profile.name} does not make ${exit}`,
  );
}

/** A profile that has an exit at all, whatever makes it. */
export function has(exit: DsmExitName): Need {
  return need(`a profile with ${exit}`, ({ profile }) =>
    profile.exits[exit] ? null : `profile ${profile.name} has no ${exit}`,
  );
}

/** A profile whose notice of a write has the destination. */
export const destination = need('a profile with dest_id', ({ profile }) =>
  'destId' in profile.exits.KVM_EXIT_DSM_SEND_IRQ.payload.fields
    ? null
    : `the exit of profile ${profile.name} has no dest_id`,
);

/** A kernel of this profile: what is asked is its own documentation's claim. */
export function ofProfile(name: string): Need {
  return need(`profile ${name}`, ({ profile }) =>
    profile.name === name ? null : `that is a claim of profile ${name}, and not of ${profile.name}`,
  );
}

/** A profile whose VMs ask for the exits. */
export const optIn = need('a profile with an opt-in', ({ profile }) =>
  profile.optIn ? null : `profile ${profile.name} has no opt-in: every VM makes the exits`,
);

/** A profile whose injection ioctls refuse what they cannot do. */
export const checkedInjection = need('a profile whose ioctls check', ({ profile }) =>
  profile.injectionChecks ? null : `the ioctls of profile ${profile.name} do not check what they are given`,
);

/** The lab kernel's extension of the series: exits 44, 46 and 47. The checks switch it on for their own VMs. */
export const reservedExits = need('the extension for exits 44, 46 and 47', ({ facts }) =>
  Object.values(reservedExitParameters).every((name) => `kvm.${name}` in facts.parameters)
    ? null
    : 'this kernel makes none of the exits that the series reserves: it has no kvm.dsm_exit_* parameters',
);

/** An exit that rfc-v2 reserves: the profile's kernels make it, or the lab kernel's extension does. */
export function madeExit(exit: DsmExitName): Need {
  return need(`a kernel that makes ${exit}`, (world) =>
    emits(exit).missing(world) === null ? null : reservedExits.missing(world),
  );
}

/** The lab kernel's extension of KVM's VFIO device. The checks switch it on for their own devices. */
export const irqForwarding = need('the extension for IRQ forwarding', ({ facts }) =>
  `kvm.${irqForwardingParameter}` in facts.parameters
    ? null
    : `this kernel forwards no IRQs of VFIO devices: it has no parameter kvm.${irqForwardingParameter}`,
);

/** A PCI function that no driver needs, for vfio-pci. */
export const vfioFunction = need("the lab's PCI function for VFIO", () =>
  labFunction() ? null : 'there is no PCI function for VFIO here, or no vfio-pci: the lab has both',
);

/** A capability by the kernel's name. */
export function capability(cap: keyof typeof capabilities): Need {
  return need(cap, (world) => (world.capability(cap) > 0 ? null : `this kernel lacks ${cap}`));
}

/** All interrupt controllers in the kernel. */
export const fullIrqchip = capability('KVM_CAP_IRQCHIP');

/** Local APICs in the kernel, the others in user space. */
export const splitIrqchip = capability('KVM_CAP_SPLIT_IRQCHIP');

/** KVM offers guests an x2APIC. */
export const x2apic = need('x2APIC for guests', ({ facts }) =>
  facts.x2apic ? null : 'this KVM offers its guests no x2APIC (CPUID 1, ECX bit 21)',
);

/** Guests run by VMX or SVM, and not by a software backend. */
export const hardwareVirtualization = need('VMX or SVM', ({ facts }) => (facts.module ? null : NO_MODULE));

/** Guests run by kvm_intel. */
export const vmx = need('KVM-Intel', ({ facts }) =>
  facts.module === 'kvm_intel' ? null : 'kvm_intel does not run guests here',
);

/** Guests run by kvm_amd. */
export const svm = need('KVM-AMD', ({ facts }) =>
  facts.module === 'kvm_amd' ? null : 'kvm_amd does not run guests here',
);

type ParameterName = `${'kvm' | 'kvm_intel' | 'kvm_amd'}.${string}`;

/** A module parameter that is on. One of a module that runs no guests here has a value as well, which means nothing. */
export function parameterOn(name: ParameterName): Need {
  return parameter(name, true);
}

/** A module parameter that is off. */
export function parameterOff(name: ParameterName): Need {
  return parameter(name, false);
}

function parameter(name: ParameterName, on: boolean): Need {
  return need(`${name}=${on ? 'Y' : 'N'}`, ({ facts }) => {
    const [module] = name.split('.');
    if (module !== 'kvm' && module !== facts.module)
      return facts.module ? `${module} does not run guests here` : NO_MODULE;
    const value = facts.parameters[name];
    if (value === undefined) return `there is no module parameter ${name}`;
    return (value === 'Y' || Number(value) > 0) === on ? null : `${name} is ${value}`;
  });
}

/** The kernel's configuration can be read. */
export const readableConfig = need("the kernel's configuration", ({ facts }) =>
  facts.config ? null : "the kernel's configuration cannot be read here",
);

/** KVM_GUESTDBG_SINGLESTEP gets a guest on. */
export const steps = need('single steps', () => laneHere?.quirks.stepsBeforeFirst ?? null);

/** A machine of the lab: what may take the kernel down with it belongs there. */
export const disposableKernel = need('a machine of the lab', ({ facts }) =>
  facts.on === 'host' ? 'it may take the kernel down, and this is no machine of the lab' : null,
);
