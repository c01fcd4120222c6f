/** What the checks share. */
import type { Machine } from '../../../script/machine/machine.ts';

/** Every vCPU has bits of the same kind; the second one is whom the guests send to. */
export const VECTOR = 0x45;

/** How many exits told of an IPI or a half of one, by whatever number the series has for its kind. */
export function forwarded(machine: Machine): number {
  const { trace } = machine;
  const names = ['KVM_EXIT_DSM_SEND_IRQ', 'KVM_EXIT_DSM_X2_ICR', 'KVM_EXIT_DSM_PV_IPI'] as const;
  return names.reduce((sum, name) => sum + trace.named(name).length, 0);
}
