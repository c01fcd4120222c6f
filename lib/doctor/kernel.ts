/** What the kernel was built with, and what its KVM modules are set to. */
import { existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { readKernelConfig } from '../host/kernel-config.ts';
import { type KvmModule, kvmModule } from '../host/kvm-module.ts';
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
      `Boot a kernel that has the series and ${OPTION}=y, or use the lab: --on vmx.`,
    ),
  ];
}

/** The parameters of each module that decide what an ICR write does, and how guests run. */
const parameters: Record<KvmModule, readonly string[]> = {
  kvm_intel: ['enable_apicv', 'enable_ipiv', 'flexpriority', 'ept', 'unrestricted_guest'],
  kvm_amd: ['avic', 'npt'],
};

/** @param module the one that runs guests here */
export function checkModuleParameters(root = '/sys/module', module = kvmModule(root)): HealthCheck[] {
  if (module === null) return [healthCheck('module', 'note', 'Neither kvm_intel nor kvm_amd runs guests here', null)];
  return parameters[module].flatMap((name) => {
    const value = readParameter(`${root}/${module}/parameters/${name}`);
    return value === null ? [] : [parameterCheck(module, name, value)];
  });
}

function parameterCheck(module: string, name: string, value: string): HealthCheck {
  const on = value === 'Y' || value === '1';
  const hides = name === 'enable_apicv' || name === 'avic' || name === 'enable_ipiv';
  if (hides && on)
    return healthCheck(
      `module.${name}`,
      'warn',
      `${module}.${name}=${value}: the CPU handles ICR writes, and the series sees none of them`,
      `Machines of this package inhibit it for themselves; for other VMMs load the module with ${module}.${name}=0.`,
    );
  return healthCheck(`module.${name}`, 'ok', `${module}.${name}=${value}`);
}

function readParameter(path: string): string | null {
  return existsSync(path) ? readFileSync(path, 'ascii').trim() : null;
}
