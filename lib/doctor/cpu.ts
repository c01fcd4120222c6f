import { readFileSync } from 'node:fs';
import { type Check, check } from './check.ts';

/** The CPU's vendor and what it offers for virtualization, as /proc/cpuinfo tells. */
export function checkCpu(cpuinfo = readFileSync('/proc/cpuinfo', 'utf8')): Check[] {
  const field = (name: string) => new RegExp(`^${name}\\s*: (.*)$`, 'm').exec(cpuinfo)?.[1]?.trim() ?? '';
  const vendor = field('vendor_id');
  const flags = new Set(field('flags').split(' '));
  const found = check(
    'cpu.vendor',
    vendor ? 'ok' : 'note',
    `CPU: ${vendor || 'unknown vendor'}, ${field('model name')}`,
  );
  if (flags.has('vmx'))
    return [found, check('cpu.virtualization', 'ok', 'The CPU offers VMX (Intel), which the series is written for')];
  if (flags.has('svm'))
    return [
      found,
      check(
        'cpu.virtualization',
        'note',
        'The CPU offers SVM (AMD); the series names VMX, its hook works on both',
        null,
      ),
    ];
  return [
    found,
    check(
      'cpu.virtualization',
      'warn',
      'The CPU shows neither VMX nor SVM: KVM-Intel and KVM-AMD cannot run here',
      'Enable virtualization in the firmware (or nested virtualization), or use the lab: --on vmx.',
    ),
  ];
}
