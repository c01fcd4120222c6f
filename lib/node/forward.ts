/** From an exit to what other nodes are told of it. */
import { decodeIcr, decodeX2Icr, encodeX2Icr } from '../abi/apic/icr.ts';
import { describeDestination, describeIpi } from '../apic/describe.ts';
import { type Ipi, ipiOf } from '../apic/ipi.ts';
import type { Exit } from '../exit/exit.ts';
import type { PvItem, SentItem, ToldItem } from './envelope.ts';

/** An interrupt that was sent: what it says to other nodes, and whom it names. */
export interface Forwarded {
  readonly item: SentItem;
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
      if (exit.register === 'SELF_IPI') return selfIpi(ipiOf(exit)!);
      if (exit.register !== 'ICR') return undefined;
      // The exit's own destination: one instruction that writes both registers may have made one exit.
      const icr2 = exit.destId === null ? (this.#icr2.get(exit.id) ?? 0) : (exit.destId << 24) >>> 0;
      return { item: { is: 'icr', icr2, icr: exit.val2 }, ipi: ipiOf(exit, null, icr2 >>> 24)! };
    }
    if (exit.name === 'KVM_EXIT_DSM_X2_ICR') return { item: { is: 'x2icr', data: exit.data }, ipi: ipiOf(exit)! };
    if (exit.name !== 'KVM_EXIT_DSM_PV_IPI') return undefined;
    const { id, data: icr, type, base, mask } = exit;
    const item: PvItem = { is: 'pv', icr, type, base, mask };
    const ipi = ipiOfPv(id, item);
    return ipi && { item, ipi };
  }
}

/** A write of SELF IPI is no write of the ICR, and sends what such a one would. */
function selfIpi(ipi: Ipi): Forwarded {
  return { item: { is: 'x2icr', data: encodeX2Icr({ ...ipi.command, destination: 0 }) }, ipi };
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

/** Whether it wakes a vCPU, and brings no interrupt (KVM_HC_KICK_CPU). */
export function isKick(item: ToldItem): boolean {
  return item.is === 'pv' && pvTargets[item.type] === 'kick';
}

function ipiOfPv(id: number, item: PvItem): Ipi | undefined {
  const { icr, type, base, mask } = item;
  const target = pvTargets[type] ?? null;
  if (isKick(item)) return kick(id, base);
  const name = 'KVM_EXIT_DSM_PV_IPI';
  return ipiOf({ name, reason: 0, id, data: icr, icr: decodeIcr(icr), type, target, base, mask: [...mask] });
}

/** KVM sends a kick as an IPI of this mode of delivery. Source: arch/x86/kvm/x86.c, kvm_pv_kick_cpu_op(): APIC_DM_REMRD. */
const REMOTE_READ = 3 << 8;

function kick(from: number, apicId: number): Ipi {
  const named = { by: 'apicId', ids: [apicId] } as const;
  return { from, command: decodeIcr(REMOTE_READ), destination: apicId, mode: 'xapic', named, seq: null };
}

/** For people. */
export function describeItem(source: number, item: ToldItem): string {
  const ipi = ipiOfItem(source, item);
  if (!ipi) return 'what its local APIC has become';
  if (isKick(item)) return `a kick to APIC id ${ipi.destination}`;
  const whom = ipi.named ? `vCPUs or APIC ids ${ipi.named.ids.join(', ')}` : describeDestination(ipi);
  return `${describeIpi(ipi)} to ${whom}`;
}
