/** From an exit to what other nodes are told of it. */
import { decodeIcr, decodeX2Icr } from '../abi/apic/icr.ts';
import { describeDestination, describeIpi } from '../apic/describe.ts';
import { type Ipi, ipiOf } from '../apic/ipi.ts';
import type { Exit } from '../exit/exit.ts';
import type { IcrItem, PvItem, ToldItem, X2IcrItem } from './envelope.ts';

/** An interrupt that was sent: what it says to other nodes, and whom it names. */
export interface Forwarded {
  readonly item: IcrItem | X2IcrItem | PvItem;
  readonly ipi: Ipi;
}

/** Reads the exits of a node's vCPUs in their order. */
export class Forward {
  /** By vcpu_id: ICR2, as it was written last. A write of it sends nothing. */
  readonly #icr2 = new Map<number, number>();

  /** What the exit has sent; `undefined`: nothing that another node has to know. */
  read(exit: Exit): Forwarded | undefined {
    if (exit.name === 'KVM_EXIT_DSM_SEND_IRQ') {
      if (exit.register === 'ICR2') this.#icr2.set(exit.id, exit.val2);
      if (exit.register !== 'ICR') return undefined;
      // The exit's own destination: one instruction that writes both registers may have made one exit.
      const icr2 = exit.destId === null ? (this.#icr2.get(exit.id) ?? 0) : (exit.destId << 24) >>> 0;
      return { item: { is: 'icr', icr2, icr: exit.val2 }, ipi: ipiOf(exit, null, icr2 >>> 24)! };
    }
    if (exit.name === 'KVM_EXIT_DSM_X2_ICR') return { item: { is: 'x2icr', data: exit.data }, ipi: ipiOf(exit)! };
    const ipi = exit.name === 'KVM_EXIT_DSM_PV_IPI' ? ipiOf(exit) : undefined;
    if (exit.name !== 'KVM_EXIT_DSM_PV_IPI' || !ipi) return undefined;
    const { data: icr, type, base, mask } = exit;
    return { item: { is: 'pv', icr, type, base, mask }, ipi };
  }
}

/** What an item of that vCPU sends; `undefined` for what is no interrupt. */
export function ipiOfItem(source: number, item: ToldItem): Ipi | undefined {
  const sent = { from: source, seq: null };
  switch (item.is) {
    case 'icr':
      return { ...sent, command: decodeIcr(item.icr), destination: item.icr2 >>> 24, mode: 'xapic' };
    case 'x2icr': {
      const command = decodeX2Icr(item.data);
      return { ...sent, command, destination: command.destination, mode: 'x2apic' };
    }
    case 'pv':
      return ipiOfPv(source, item);
    case 'apic':
      return undefined;
  }
}

/** The order of the payload's `type`. */
const pvTargets = ['apicIds', 'vpIndices', 'all', 'kick', 'icr'] as const;

function ipiOfPv(id: number, { icr, type, base, mask }: PvItem): Ipi | undefined {
  const target = pvTargets[type] ?? null;
  const name = 'KVM_EXIT_DSM_PV_IPI';
  return ipiOf({ name, reason: 0, id, data: icr, icr: decodeIcr(icr), type, target, base, mask: [...mask] });
}

/** For people. */
export function describeItem(source: number, item: ToldItem): string {
  const ipi = ipiOfItem(source, item);
  if (!ipi) return 'what its local APIC has become';
  const whom = ipi.named ? `vCPUs or APIC ids ${ipi.named.ids.join(', ')}` : describeDestination(ipi);
  return `${describeIpi(ipi)} to ${whom}`;
}
