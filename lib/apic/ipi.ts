/** An interrupt that was sent, by a vCPU or by the host, whatever way it was seen. */
import { decodeIcr, decodeX2Icr, type IcrCommand } from '../abi/apic/icr.ts';
import { lapicRegisters } from '../abi/apic/lapic.ts';
import type { MsiMessage } from '../abi/kvm/gsi-route.ts';
import { type DsmPvIpiExit, maskMembers } from '../exit/dsm.ts';
import type { Exit } from '../exit/exit.ts';

export interface Ipi {
  /** vcpu_id of the sender. `host`: by a message (KVM_SIGNAL_MSI). */
  readonly from: number | 'host';
  readonly command: IcrCommand;
  /** An APIC id, or a logical id: 8 bits, or 32 in x2APIC mode. Means nothing under a shorthand. */
  readonly destination: number;
  /** How it was sent: it says how wide the destination is. */
  readonly mode: 'xapic' | 'x2apic';
  /** A paravirtual one names whom it is for one by one, instead of by a destination: by APIC id, or by vcpu_id. */
  readonly named?: { readonly by: 'apicId' | 'vcpu'; readonly ids: readonly number[] };
  /** Its place in a trace; `null` if it is not from one. */
  readonly seq: number | null;
}

/** The shorthand self, in an x2APIC's ICR. */
const X2_ICR_SELF = 1n << 18n;

/**
 * The IPI that a forwarded ICR write or a paravirtual interface sends; `undefined` for every other exit.
 *
 * @param icr2Destination what bits 31:24 of the vCPU's ICR2 are, for an exit that does not tell
 */
export function ipiOf(exit: Exit, seq: number | null = null, icr2Destination = 0): Ipi | undefined {
  if (exit.name === 'KVM_EXIT_DSM_SEND_IRQ' && exit.register === 'ICR')
    return { from: exit.id, command: exit.icr, destination: exit.destId ?? icr2Destination, mode: 'xapic', seq };
  if (exit.name === 'KVM_EXIT_DSM_SEND_IRQ' && exit.register === 'SELF_IPI') {
    const command = decodeX2Icr(BigInt(exit.val2 & 0xff) | X2_ICR_SELF);
    return { from: exit.id, command, destination: 0, mode: 'x2apic', seq };
  }
  if (exit.name === 'KVM_EXIT_DSM_X2_ICR')
    return { from: exit.id, command: exit.icr, destination: exit.icr.destination, mode: 'x2apic', seq };
  return exit.name === 'KVM_EXIT_DSM_PV_IPI' ? ipiOfPv(exit, seq) : undefined;
}

/**
 * The IPI of a paravirtual interface; `undefined` for a kick, which sends none. A VP index is taken for the vcpu_id: that is
 * so unless user space has written HV_X64_MSR_VP_INDEX, or has made vCPUs in another order.
 */
function ipiOfPv({ id, icr, target, base, mask }: DsmPvIpiExit, seq: number | null): Ipi | undefined {
  const sent = { from: id, destination: base, mode: 'xapic', seq } as const;
  if (target === 'icr') return { ...sent, command: icr };
  // KVM gives it to each that is named, whatever the mode of delivery.
  const deliveryMode = icr.deliveryMode === 'lowestPriority' ? 'fixed' : icr.deliveryMode;
  const command = { ...icr, deliveryMode, shorthand: 'none' } as const;
  if (target === 'all') return { ...sent, command: { ...command, shorthand: 'allIncludingSelf' } };
  if (target !== 'apicIds' && target !== 'vpIndices') return undefined;
  const ids = maskMembers(base, mask);
  return { ...sent, command, named: { by: target === 'apicIds' ? 'apicId' : 'vcpu', ids } };
}

/** Reads exits in their order: where one does not tell its destination, the same vCPU's last write of ICR2 did. */
export class IpiReader {
  readonly #icr2 = new Map<number, number>();

  read(exit: Exit, seq: number | null = null): Ipi | undefined {
    if (exit.name !== 'KVM_EXIT_DSM_SEND_IRQ') return ipiOf(exit, seq);
    if (exit.register === 'ICR2') this.#icr2.set(exit.id, exit.icr2.destination);
    return ipiOf(exit, seq, this.#icr2.get(exit.id));
  }

  /** The IPI that such a write sends; `undefined` for ICR2 and what else sends none. */
  replayed(act: Replayed): Ipi | undefined {
    const { seq } = act;
    const from = act.write.vcpuId;
    if (act.ioctl === 'KVM_DSM_X2APIC') {
      const command = decodeX2Icr(act.write.data);
      return { from, command, destination: command.destination, mode: 'x2apic', seq };
    }
    const { val, val2 } = act.write;
    if (val === lapicRegisters.ICR2) this.#icr2.set(from, val2 >>> 24);
    if (val !== lapicRegisters.ICR) return undefined;
    return { from, command: decodeIcr(val2), destination: this.#icr2.get(from) ?? 0, mode: 'xapic', seq };
  }
}

/** A vCPU's write that was given to KVM again, by the ioctl that did so. */
export type Replayed = { readonly seq: number } & (
  | {
      readonly ioctl: 'KVM_DSM_IPI';
      readonly write: { readonly vcpuId: number; readonly val: number; readonly val2: number };
    }
  | { readonly ioctl: 'KVM_DSM_X2APIC'; readonly write: { readonly vcpuId: number; readonly data: bigint } }
);

/** Message Address Register: bit 3, the redirection hint, and bit 2, the destination mode. */
const MSI_REDIRECTION_HINT = 1 << 3;
const MSI_LOGICAL = 1 << 2;

/** The interrupt that a message is. Its data has the fields of an ICR in the same places; its address has the rest. */
export function ipiOfMsi({ addressLo, addressHi = 0, data }: MsiMessage, seq: number | null = null): Ipi {
  const { vector, deliveryMode, level, trigger } = decodeIcr(data);
  const redirected = (addressLo & MSI_REDIRECTION_HINT) !== 0 && deliveryMode === 'fixed';
  return {
    from: 'host',
    command: {
      vector,
      deliveryMode: redirected ? 'lowestPriority' : deliveryMode,
      destinationMode: addressLo & MSI_LOGICAL ? 'logical' : 'physical',
      level,
      trigger,
      shorthand: 'none',
    },
    destination: (((addressLo >>> 12) & 0xff) | (addressHi & 0xffff_ff00)) >>> 0,
    // With 32-bit ids (KVM_CAP_X2APIC_API) a message has the rest of one in its upper half.
    mode: addressHi >>> 8 === 0 ? 'xapic' : 'x2apic',
    seq,
  };
}

/** The IPI that a vCPU's ICR still holds, which is its last one; `undefined` if it is as after reset. */
export function ipiHeld(from: number, registers: { ICR: number; ICR2: number }, mode: Ipi['mode']): Ipi | undefined {
  const { ICR, ICR2 } = registers;
  if (ICR === 0) return undefined;
  if (mode === 'xapic') return { from, command: decodeIcr(ICR), destination: ICR2 >>> 24, mode, seq: null };
  const command = decodeX2Icr((BigInt(ICR2) << 32n) | BigInt(ICR));
  return { from, command, destination: command.destination, mode, seq: null };
}
