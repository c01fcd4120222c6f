/** Whether the CPU can run guests. */
import { readHostCpu } from '../host/cpu.ts';
import { type HealthCheck, healthCheck } from './health-check.ts';

/** The CPU's vendor and what it offers for virtualization. */
export function checkCpu({ vendor, model, virtualization } = readHostCpu()): HealthCheck[] {
  const found = healthCheck('cpu.vendor', vendor ? 'ok' : 'note', `CPU: ${vendor || 'unknown vendor'}, ${model}`);
  if (virtualization === 'VMX')
    return [
      found,
      healthCheck('cpu.virtualization', 'ok', 'The CPU offers VMX (Intel), which the series is written for'),
    ];
  if (virtualization === 'SVM')
    return [
      found,
      healthCheck(
        'cpu.virtualization',
        'note',
        'The CPU offers SVM (AMD); the series names VMX, its hook works on both',
        null,
      ),
    ];
  return [
    found,
    healthCheck(
      'cpu.virtualization',
      'warn',
      'The CPU shows neither VMX nor SVM: KVM-Intel and KVM-AMD cannot run here',
      'Enable virtualization in the firmware (or nested virtualization), or use the lab: --on vmx.',
    ),
  ];
}
