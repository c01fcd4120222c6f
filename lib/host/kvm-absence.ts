/** Why guests cannot run here, and what to do. */
import { nestedAdvice } from './hypervisor.ts';
import type { KvmFacts } from './kvm-facts.ts';

/** One reason. */
export interface Absence {
  /** One sentence. */
  finding: string;
  advice: string;
}

/** Why the CPU shows no virtualization; `null` if it does. */
export function whyNoVirtualization({ cpu, kind, hypervisor, off, container }: KvmFacts): Absence | null {
  if (cpu.virtualization !== null) return null;
  const technology = kind === 'VMX' ? 'Intel Virtualization Technology (VT-x)' : 'SVM Mode (AMD-V)';
  const firmware = `Enable ${technology} in the firmware's setup, and switch the machine off and on again.`;
  if (hypervisor) {
    const { name } = hypervisor;
    return {
      finding: `This is a virtual machine${name ? ` of ${name}` : ''}, and its CPU shows no ${kind}: nested virtualization is off`,
      advice: nestedAdvice(name, kind),
    };
  }
  if (off) return { finding: `The firmware has switched ${kind} off`, advice: firmware };
  const where = container ? 'of the machine that the container runs on' : 'of this machine';
  return {
    finding: `The CPU shows no ${kind}: ${kind === 'VMX' ? 'KVM-Intel' : 'KVM-AMD'} cannot run here`,
    advice: `${firmware} If it is on there, the CPU ${where} has none.`,
  };
}

/** Why KVM's module is not there although the CPU can; `null` if it is, or if the CPU cannot. */
export function whyNoModule({ cpu, module, loaded, available, release, container }: KvmFacts): Absence | null {
  if (cpu.virtualization === null || loaded) return null;
  if (available === false)
    return {
      finding: `Linux ${release} has no ${module}: it was built without it, or its modules are not all installed`,
      advice: `Install the rest of the kernel's modules (Fedora: kernel-modules, Ubuntu: linux-modules-extra-${release}), or boot a kernel with CONFIG_${module.toUpperCase()}.`,
    };
  const host = container ? ", on the container's host" : '';
  return { finding: `${module} is not loaded`, advice: `Load it${host}: sudo modprobe ${module}` };
}

/** What to do where there is no device of that path. */
export function missingDeviceAdvice(path: string, facts: KvmFacts): string {
  const lab = 'or use the lab: `--on vmx` needs no KVM.';
  if (path !== '/dev/kvm') return `Give the path of KVM's device, which is /dev/kvm on nearly every machine, ${lab}`;
  const reason = whyNoVirtualization(facts) ?? whyNoModule(facts);
  const next = facts.container ? 'Then start the container with --device /dev/kvm' : 'The device comes with the module';
  if (reason) return `${reason.finding}. ${reason.advice.replace(/\.$/, '')}. ${next}, ${lab}`;
  if (facts.container) return `Start the container with --device /dev/kvm, ${lab}`;
  return `${facts.module} is loaded, so somebody has removed the device: sudo mknod /dev/kvm c 10 232, ${lab}`;
}
