/** What the local APICs of a machine were when its vCPUs were out of the guest: at the begin and the end of each run. */
import { readLapicRegister } from '../../abi/apic/lapic.ts';
import { apicView } from '../../apic/destination.ts';
import type { ApicAt } from '../../picture/target.ts';
import type { MachineVcpu } from './vcpu.ts';

export class ApicHistory {
  readonly #views = new Map<number, ApicAt[]>();

  /** The oldest first; one for each change. */
  of(vcpuId: number): readonly ApicAt[] {
    return this.#views.get(vcpuId) ?? [];
  }

  /** @param seq how many events the trace has now */
  take(vcpus: readonly MachineVcpu[], seq: number): void {
    for (const { id, vcpu } of vcpus) {
      if (vcpu.closed || vcpu.thread?.alive) continue;
      const page = vcpu.getLapic();
      const read = (name: 'ID' | 'LDR' | 'DFR' | 'SVR') => readLapicRegister(page, name);
      const registers = { ID: read('ID'), LDR: read('LDR'), DFR: read('DFR'), SVR: read('SVR') };
      const apic = apicView(id, { registers }, vcpu.apicBase());
      const known = this.#views.get(id) ?? [];
      const [before, last] = known.slice(-2);
      // Of three that are the same, the one in the middle says nothing.
      if (before && last && isSame(before.apic, apic) && isSame(last.apic, apic)) known.pop();
      known.push({ seq, apic });
      this.#views.set(id, known);
    }
  }
}

function isSame(one: ApicAt['apic'], other: ApicAt['apic']): boolean {
  const keys = Object.keys(one) as (keyof ApicAt['apic'])[];
  return keys.every((key) => one[key] === other[key]);
}
