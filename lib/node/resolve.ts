/** Which nodes an IPI is for. */
import { SVR_ENABLE } from '../abi/apic/lapic.ts';
import { type ApicView, apicView, isForEveryone, isNamed, resolve } from '../apic/destination.ts';
import type { Ipi } from '../apic/ipi.ts';
import type { KnownApic } from './envelope.ts';

/** The local APICs of all vCPUs, as far as this node knows, and where each runs. */
export class ApicMap {
  /** By vcpu_id: the node that runs it. */
  readonly homes: readonly number[];
  readonly #views: ApicView[] = [];
  readonly #registers: KnownApic[] = [];
  /** By vcpu_id: 0 is how the machine was made. */
  readonly versions: number[];

  constructor(homes: readonly number[]) {
    this.homes = homes;
    this.versions = homes.map(() => 0);
  }

  /** What is known of a vCPU's registers. */
  registers(vcpu: number): KnownApic | undefined {
    return this.#registers[vcpu];
  }

  set(vcpu: number, registers: KnownApic, version: number): void {
    const { apicBase, id, ldr, dfr, svr } = registers;
    this.#registers[vcpu] = { apicBase, id, ldr, dfr, svr };
    this.#views[vcpu] = apicView(vcpu, { registers: { ID: id, LDR: ldr, DFR: dfr, SVR: svr } }, apicBase);
    this.versions[vcpu] = version;
  }

  /** As far as is known. */
  apicId(vcpu: number): number {
    return this.#views[vcpu]!.apicId;
  }

  /** Those that the IPI names, as far as is known; with lowest priority all that are candidates. */
  named(ipi: Ipi): readonly ApicView[] {
    return this.#views.filter((view) => isNamed(ipi, view));
  }

  /**
   * Of lowest priority: the one that takes it, by its vector among those that can, as far as is known. `undefined`: it is of another mode, or nobody
   * is known to take it.
   */
  taker(ipi: Ipi): number | undefined {
    const { deliveryMode, shorthand, vector } = ipi.command;
    // KVM gives a broadcast by destination to all: kvm_irq_delivery_to_apic().
    const isToAll = shorthand === 'none' && isForEveryone(ipi) && ipi.command.destinationMode === 'physical';
    if (deliveryMode !== 'lowestPriority' || isToAll) return undefined;
    const candidates = resolve(ipi, this.#views);
    return candidates[vector % candidates.length]?.vcpu;
  }

  /**
   * The other nodes that have a vCPU that the IPI may be for. A physical destination is by APIC id; of a logical one in xAPIC mode no exit
   * tells when a guest changes what it names, so that every node is asked: each knows its own.
   */
  nodes(ipi: Ipi, own: number): readonly number[] {
    if (ipi.command.shorthand === 'self') return [];
    const others = [...new Set(this.homes)].filter((node) => node !== own);
    if (isForEveryone(ipi) || isLogicalXapic(ipi)) return others;
    const homes = this.named(ipi).map(({ vcpu }) => this.homes[vcpu]!);
    // An id that nobody is known to have may be one that has just been changed.
    if (homes.length === 0) return others;
    return others.filter((node) => homes.includes(node));
  }
}

function isLogicalXapic({ command, mode, named }: Ipi): boolean {
  return !named && mode === 'xapic' && command.destinationMode === 'logical';
}

/** Whether two are the same to whoever sends an IPI. */
export function sameApic(a: KnownApic | undefined, b: KnownApic): boolean {
  if (a === undefined) return false;
  const isOn = (svr: number) => (svr & SVR_ENABLE) !== 0;
  return (
    a.apicBase === b.apicBase && a.id === b.id && a.ldr === b.ldr && a.dfr === b.dfr && isOn(a.svr) === isOn(b.svr)
  );
}
