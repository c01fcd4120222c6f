/** What a local APIC does with an interrupt that names it. SDM: "Interrupt Acceptance for Fixed Interrupts". */
import type { IcrCommand } from '../../abi/apic/icr.ts';
import { SVR_ENABLE } from '../../abi/apic/lapic.ts';
import type { Draft } from './draft.ts';
import { takeInit, takeSipi } from './init.ts';

/** At most so many NMIs wait. */
const NMIS = 2;

export const isEnabled = (draft: Draft, vcpu: number) => (draft.get(vcpu, 'SVR') & SVR_ENABLE) !== 0;

export function takeNmi(draft: Draft, vcpu: number): void {
  const processor = draft.of(vcpu);
  processor.nmis = Math.min(NMIS, processor.nmis + 1);
  draft.touch(vcpu, 'NMIs that wait', 'nmi');
}

/** True if it took it. */
export function accept(draft: Draft, vcpu: number, command: IcrCommand): boolean {
  const level = command.trigger === 'level';
  switch (command.deliveryMode) {
    case 'fixed':
    case 'lowestPriority':
      if (level && command.level !== 'assert') return false;
      if (!isEnabled(draft, vcpu)) return false;
      draft.mark(vcpu, 'TMR0', command.vector, level, 'accept.tmr');
      draft.mark(vcpu, 'IRR0', command.vector, true, 'accept.irr');
      return true;
    case 'nmi':
      takeNmi(draft, vcpu);
      return true;
    case 'init':
      if (level && command.level !== 'assert') return false;
      takeInit(draft, vcpu);
      return true;
    case 'startUp':
      takeSipi(draft, vcpu, command.vector);
      return true;
    default:
      return false;
  }
}
