/** What the kernel was built with, and what its KVM modules are set to. */
import { release } from 'node:os';
import { readKernelConfig } from '../host/kernel-config.ts';
import { type KvmModule, kvmModule } from '../host/kvm-module.ts';
import { readText } from '../host/read-text.ts';
import { kernelAdvice } from './advice.ts';
import { type HealthCheck, healthCheck } from './health-check.ts';

const OPTION = 'CONFIG_KVM_DSM_IRQ_FORWARD';

/** What the running kernel was built with, where that can be read. */
export function checkKernelConfig(): HealthCheck[] {
  const config = readKernelConfig();
  if (!config)
    return [healthCheck('kernel.config', 'note', `Linux ${release()}: its configuration cannot be read here`, null)];
  const { source, text } = config;
  if (new RegExp(`^${OPTION}=y$`, 'm').test(text))
    return [healthCheck('kernel.config', 'ok', `Linux ${release()} was built with ${OPTION}=y (${source})`)];
  return [
    healthCheck(
      'kernel.config',
      'warn',
      `Linux ${release()} was built without ${OPTION} (${source})`,
      kernelAdvice(`${OPTION}=y`),
    ),
  ];
}

/** What a module's parameter is about. */
interface Parameter {
  name: string;
  /** The value that may get in the way, with what then happens and what to do. */
  heed?: { on: boolean; status: 'warn' | 'note'; means: string; advice(module: KvmModule): string };
}

/** The CPU handles ICR writes where that is on. */
const hides = (name: string): Parameter => ({
  name,
  heed: {
    on: true,
    status: 'warn',
    means: 'the CPU handles ICR writes, and the series sees none of them',
    advice: (module) =>
      `Machines of this package inhibit it for themselves; for other VMMs load the module with ${module}.${name}=0.`,
  },
});

const off = (name: string, status: 'warn' | 'note', means: string, why: string): Parameter => ({
  name,
  heed: { on: false, status, means, advice: (module) => `${why} load the module with ${module}.${name}=1.` },
});

const SHADOW = 'KVM keeps page tables of its own for each guest, which is slow and another path than the usual one';
const IF_CPU = 'If the CPU has it,';
const nested = off('nested', 'note', 'virtual machines on this host have no KVM of their own', 'To test in one,');

/** The parameters of each module that decide what an ICR write does, and how guests run. */
const parameters: Record<KvmModule, readonly Parameter[]> = {
  kvm_intel: [
    hides('enable_apicv'),
    hides('enable_ipiv'),
    { name: 'flexpriority' },
    off('ept', 'warn', SHADOW, IF_CPU),
    off(
      'unrestricted_guest',
      'warn',
      "KVM's instruction emulator runs guests in real mode, and those whose segments are unusual: what it does not know ends them with KVM_EXIT_INTERNAL_ERROR",
      'Use flat32 or long64 code; if the CPU has it,',
    ),
    off(
      'emulate_invalid_guest_state',
      'warn',
      'without unrestricted_guest a guest in real mode ends with KVM_EXIT_FAIL_ENTRY',
      'If unrestricted_guest is N as well,',
    ),
    nested,
  ],
  kvm_amd: [hides('avic'), off('npt', 'warn', SHADOW, IF_CPU), nested],
};

/** @param module the one that runs guests here; nothing if none does */
export function checkModuleParameters(root = '/sys/module', module = kvmModule(root)): HealthCheck[] {
  if (module === null) return [];
  return parameters[module].flatMap((parameter) => {
    const value = readText(`${root}/${module}/parameters/${parameter.name}`);
    return value === null ? [] : [parameterCheck(module, parameter, value)];
  });
}

function parameterCheck(module: KvmModule, { name, heed }: Parameter, value: string): HealthCheck {
  const on = value !== 'N' && value !== '0';
  const setting = `${module}.${name}=${value}`;
  if (heed?.on !== on) return healthCheck(`module.${name}`, 'ok', setting);
  return healthCheck(`module.${name}`, heed.status, `${setting}: ${heed.means}`, heed.advice(module));
}
