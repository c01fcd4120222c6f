import { type DsmProfile, defaultProfile } from '../abi/dsm/profile.ts';
import { KVM_DEVICE } from '../kvm/kvm.ts';
import type { TraceEvent } from '../trace/event.ts';
import type { Machine } from './machine/machine.ts';

/** Who wants to hear what machines do, as it happens. */
export interface Observer {
  machine?(machine: Machine): void;
  event?(event: TraceEvent): void;
}

/**
 * What machines take from the program around them: the `kvm-dsm` command sets it from its options; a script that is
 * run by plain node gets these defaults.
 */
export const context: { device: string; profile: DsmProfile; observer: Observer } = {
  device: KVM_DEVICE,
  profile: defaultProfile,
  observer: {},
};
