/** The exits that say all with their name. */
import type { Each, Kind, Kinds, Named } from './family.ts';

export type PlainExit = Each<
  | 'KVM_EXIT_HLT'
  | 'KVM_EXIT_IRQ_WINDOW_OPEN'
  | 'KVM_EXIT_INTR'
  | 'KVM_EXIT_NMI'
  | 'KVM_EXIT_DIRTY_RING_FULL'
  | 'KVM_EXIT_AP_RESET_HOLD'
  | 'KVM_EXIT_X86_BUS_LOCK'
>;

const plain = <N extends PlainExit['name']>(name: N): Kind<Named<N>> => ({
  fields: {},
  decode: (_, reason) => ({ name, reason }),
  goesOnByItself: true,
});

export const plainExits: Kinds<PlainExit> = {
  KVM_EXIT_HLT: plain('KVM_EXIT_HLT'),
  KVM_EXIT_IRQ_WINDOW_OPEN: plain('KVM_EXIT_IRQ_WINDOW_OPEN'),
  KVM_EXIT_INTR: plain('KVM_EXIT_INTR'),
  KVM_EXIT_NMI: plain('KVM_EXIT_NMI'),
  KVM_EXIT_DIRTY_RING_FULL: plain('KVM_EXIT_DIRTY_RING_FULL'),
  KVM_EXIT_AP_RESET_HOLD: plain('KVM_EXIT_AP_RESET_HOLD'),
  KVM_EXIT_X86_BUS_LOCK: plain('KVM_EXIT_X86_BUS_LOCK'),
};
