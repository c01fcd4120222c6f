/** Facts of the host that checks run on. */
import { readdirSync, readFileSync } from 'node:fs';
import { release, version } from 'node:os';
import type { DsmIoctlName, DsmProfile } from '../../abi/dsm/profiles.ts';
import { UnsupportedError } from '../../base/errors.ts';
import { readHostCpu } from '../../host/cpu.ts';
import { readKernelConfig } from '../../host/kernel-config.ts';
import { kvmModule } from '../../host/kvm-module.ts';
import { laneHere } from '../../host/lane.ts';
import type { Kvm } from '../../kvm/kvm.ts';
import { probeIcrWrite } from '../../probe/icr-write.ts';
import { askInjection } from '../../probe/injection.ts';
import { Prober, type ProberOptions } from './probes.ts';

/** Where checks run: what a report's head names and what needs are decided by. */
export interface Facts {
  /** `host`, or the lane of the lab. */
  on: string;
  /** As `uname -r` says. */
  kernel: string;
  /** As `uname -v` says. */
  build: string;
  /** Lines of the kernel's configuration that matter here; `null` where it cannot be read. */
  config: {
    /** The file that has it. */
    source: string;
    /** Such as `CONFIG_KVM_INTEL=m`. */
    lines: string[];
  } | null;
  /** The CPU's vendor and model. */
  cpu: string;
  /** CPUs that are online. */
  cpus: number;
  /** By `module.parameter`: kvm, kvm_intel, kvm_amd. */
  parameters: Record<string, string>;
  /** What runs guests here; `null`: neither does. */
  module: 'kvm_intel' | 'kvm_amd' | null;
  /** The path of the KVM device. */
  device: string;
  /** The name of the profile that the kernel is judged by. */
  profile: string;
  /** Some ICR write of a guest came out as exit 45. */
  forwards: boolean;
  /** Which of KVM_DSM_IPI, KVM_DSM_X2APIC and KVM_DSM_APIC_BASE are known. */
  injects: Record<'ipi' | 'x2apic' | 'base', boolean>;
  /** KVM offers guests an x2APIC. */
  x2apic: boolean;
  /** What could not be found out, and why: a check of that name fails. */
  failedProbes: Partial<Record<'forwarding' | 'ipi' | 'x2apic' | 'base' | 'cpuid', string>>;
}

const NONE: Facts['injects'] = { ipi: false, x2apic: false, base: false };

const CONFIG_LINES =
  /^CONFIG_(?:KVM\w*|SMP|NR_CPUS|PREEMPT\w*|HYPERV|X86_X2APIC|KASAN|UBSAN|LOCKDEP|PROVE_LOCKING|DEBUG_KERNEL)=.+$/gm;

/** Looks at the machine that this process runs on; tiny guests run for it. */
export function gatherFacts(kvm: Kvm, profile: DsmProfile, options: ProberOptions = {}): Facts {
  const prober = new Prober(options);
  const knows = (name: keyof Facts['injects'], ioctl: DsmIoctlName) =>
    prober.ask(name, () => askInjection(kvm, ioctl, profile).known, false);
  const config = readKernelConfig();
  const cpu = readHostCpu();
  const parameters = Object.fromEntries(['kvm', 'kvm_intel', 'kvm_amd'].flatMap(parametersOf));
  return {
    on: laneHere?.name ?? 'host',
    kernel: release(),
    build: version(),
    config: config && { source: config.source, lines: config.text.match(CONFIG_LINES) ?? [] },
    cpu: `${cpu.vendor || 'unknown'}, ${cpu.model || 'unknown'}`,
    cpus: cpu.online,
    parameters,
    module: kvmModule(),
    device: kvm.device,
    profile: profile.name,
    forwards: prober.ask('forwarding', () => forwards(kvm, profile), false),
    injects: {
      ipi: knows('ipi', 'KVM_DSM_IPI'),
      x2apic: knows('x2apic', 'KVM_DSM_X2APIC'),
      base: knows('base', 'KVM_DSM_APIC_BASE'),
    },
    x2apic: prober.ask('cpuid', () => offersX2apic(kvm), false),
    failedProbes: prober.failed,
  };
}

function forwards(kvm: Kvm, profile: DsmProfile): boolean {
  const { outcome, exit } = probeIcrWrite(kvm, { profile });
  if (outcome === 'failed') throw new UnsupportedError(exit, 'A guest of few instructions');
  return outcome === 'forwarded';
}

const offersX2apic = (kvm: Kvm) =>
  kvm.supportedCpuid().some(({ function: leaf, ecx }) => leaf === 1 && (ecx & (1 << 21)) !== 0);

/** What is known of a machine that has told nothing. */
export function unknownFacts(on: string, device: string, profile: string): Facts {
  return {
    on,
    kernel: 'unknown',
    build: '',
    config: null,
    cpu: 'unknown',
    cpus: 0,
    parameters: {},
    module: null,
    device,
    profile,
    forwards: false,
    injects: NONE,
    x2apic: false,
    failedProbes: {},
  };
}

function parametersOf(module: string): [string, string][] {
  const directory = `/sys/module/${module}/parameters`;
  try {
    return readdirSync(directory).map((name) => [`${module}.${name}`, parameter(`${directory}/${name}`)]);
  } catch {
    return []; // not loaded
  }
}

function parameter(path: string): string {
  try {
    return readFileSync(path, 'latin1').trim();
  } catch {
    return 'unreadable'; // some may only be written
  }
}
