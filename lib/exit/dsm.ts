/** What the exits of DSM interrupt forwarding have in common. */
import type { DsmExitName } from '../abi/dsm/profiles.ts';
import type { DsmSendIrqExit, DsmX2IcrExit, Exit } from './exit.ts';

const names: ReadonlySet<string> = new Set<DsmExitName>([
  'KVM_EXIT_DAPIC',
  'KVM_EXIT_DSM_SEND_IRQ',
  'KVM_EXIT_DSM_X2_ICR',
  'KVM_EXIT_DSM_APIC_BASE',
]);

/** Whether the exit is one of the series, of whatever profile. */
export function isDsmExit(exit: Exit): boolean {
  return names.has(exit.name);
}

/** The exits that are a guest's write of its ICR: the xAPIC's (ICR or ICR2), and the x2APIC's. */
export const icrWriteExits = ['KVM_EXIT_DSM_SEND_IRQ', 'KVM_EXIT_DSM_X2_ICR'] as const;

/** True for the name of an exit that is an ICR write. */
export function isIcrWriteName(name: unknown): boolean {
  return (icrWriteExits as readonly unknown[]).includes(name);
}

/** Whether the exit is a forwarded ICR write: one of ICR or ICR2, or of the x2APIC's ICR. */
export function isForwardedIcrWrite(exit: Exit): exit is DsmSendIrqExit | DsmX2IcrExit {
  return exit.name === 'KVM_EXIT_DSM_SEND_IRQ' ? exit.register !== null : exit.name === 'KVM_EXIT_DSM_X2_ICR';
}
