/** One vCPU as a destination of IPIs: what decides whom they name, and what tells whether they came. */
import type { ApicView } from '../apic/destination.ts';

/** The APIC of a vCPU when it was out of the guest: at the begin or the end of a run, or now. */
export interface ApicAt {
  /** How many events the trace had then. */
  readonly seq: number;
  readonly apic: ApicView;
}

export interface DeliveryTarget {
  /** Now. */
  readonly apic: ApicView;
  /** What it was before, the oldest first. */
  readonly earlier?: readonly ApicAt[];
  /** How often the machine's handlers ran, by vector. */
  readonly interrupts: ReadonlyMap<number, number>;
  /** Vectors that have been accepted and not counted yet: in IRR or in service, or about to be injected. 2: an NMI. */
  readonly waiting?: ReadonlySet<number>;
  /** What it waits for before it runs at all; `undefined` of one that can run. */
  readonly awaits?: 'INIT' | 'SIPI' | undefined;
  /** Why the counter of a vector tells nothing: a handler of the program's own, say. `undefined` if it tells. */
  uncounted?(vector: number): string | undefined;
  /** What else may bring this vector: a timer, a line of the IOAPIC. `undefined` if nothing that is known. */
  source?(vector: number): string | undefined;
}

/** Its APIC as it was before the event `seq`, as far as that was looked at. */
export function viewBefore({ earlier = [], apic }: DeliveryTarget, seq: number): ApicView {
  return (earlier.findLast((view) => view.seq <= seq) ?? earlier[0])?.apic ?? apic;
}

/** Its APIC at the end of the run that the event `seq` was in. */
export function viewAfter({ earlier = [], apic }: DeliveryTarget, seq: number): ApicView {
  return earlier.find((view) => view.seq > seq)?.apic ?? apic;
}
