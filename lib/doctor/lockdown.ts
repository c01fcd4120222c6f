/** Whether the kernel keeps its administrator from loading another KVM. */
import { type Lockdown, readLockdown } from '../host/lockdown.ts';
import { type HealthCheck, healthCheck } from './health-check.ts';

/** Nothing where the kernel has no lockdown. */
export function checkLockdown(level: Lockdown | null = readLockdown()): HealthCheck[] {
  if (level === null) return [];
  if (level === 'none') return [healthCheck('lockdown', 'ok', 'The kernel is not locked down')];
  return [
    healthCheck(
      'lockdown',
      'warn',
      `The kernel is locked down (${level}), as with Secure Boot: it loads no modules that are not signed, and lets nobody read MSRs`,
      'To load a KVM or to boot a kernel of your own, sign it (mokutil --import), or switch Secure Boot off.',
    ),
  ];
}
