/** The exits that say all with their name. */
import type { Kind, Kinds, Named } from './family.ts';

/** An exit without a payload: its name says all. */
export type PlainExit =
  | Named<'KVM_EXIT_HLT'>
  | Named<'KVM_EXIT_IRQ_WINDOW_OPEN'>
  | Named<'KVM_EXIT_INTR'>
  | Named<'KVM_EXIT_NMI'>
  | Named<'KVM_EXIT_DIRTY_RING_FULL'>
  | Named<'KVM_EXIT_AP_RESET_HOLD'>
  | Named<'KVM_EXIT_X86_BUS_LOCK'>;

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
