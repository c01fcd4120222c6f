/** Which nodes an IPI is for. */
import { SVR_ENABLE } from '../abi/apic/lapic.ts';
import { type ApicView, apicView, isForEveryone, isNamed } from '../apic/destination.ts';
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

  /** Those that the IPI names, as far as is known; with lowest priority all that are candidates. */
  named(ipi: Ipi): readonly ApicView[] {
    return this.#views.filter((view) => isNamed(ipi, view));
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
