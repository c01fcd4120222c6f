/** The exits of DSM interrupt forwarding: their numbers and payloads are a profile's (abi/dsm). */

import {
  decodedIcr,
  decodedIcr2,
  decodedX2Icr,
  decodeIcr,
  decodeIcr2,
  decodeX2Icr,
  describeIcr,
  type Icr,
  type Icr2,
  type IcrCommand,
  type X2Icr,
} from '../abi/apic/icr.ts';
import { lapicRegisterName, lapicRegisters } from '../abi/apic/lapic.ts';
import type { DsmExitName, DsmPayload, DsmProfile, ProfileExitName } from '../abi/dsm/profiles.ts';
import { copyUnion, RUN_UNION_OFFSET } from '../abi/kvm/kvm-run.ts';
import { boolean, integer, oneOf, orNull, u64Bigint } from '../base/shape.ts';
import { hex } from '../base/text.ts';
import { type Named, type Readable, rawField, type WithRaw, wordsField } from './family.ts';

/**
 * A guest wrote the xAPIC's ICR or ICR2, or (profile fixed-v1) the x2APIC's SELF IPI; the IPI has been delivered locally as
 * well.
 */
export type DsmSendIrqExit = Named<'KVM_EXIT_DSM_SEND_IRQ'> & {
  /** vcpu_id of the vCPU that wrote. */
  id: number;
  /** The register's byte offset. */
  val: number;
  /** The 32 bits that it wrote. */
  val2: number;
  /** Bits 31:24 of ICR2. Means nothing under a shorthand. `null`: the profile's kernels do not tell it. */
  destId: number | null;
} & (
    | {
        /** It wrote the low half, which sends. */
        register: 'ICR';
        /** The fields of `val2`. */
        icr: Icr;
        /** Of ICR2 alone. */
        icr2?: undefined;
      }
    | {
        /** It wrote the high half: the destination of what it sends next. */
        register: 'ICR2';
        /** Of ICR alone. */
        icr?: undefined;
        /** The fields of `val2`. */
        icr2: Icr2;
      }
    | {
        /** It wrote the x2APIC's SELF IPI; `null`: a register that the series does not forward. */
        register: 'SELF_IPI' | null;
        /** Of ICR alone. */
        icr?: undefined;
        /** Of ICR2 alone. */
        icr2?: undefined;
      }
  );

/** A guest wrote the x2APIC's ICR. */
export interface DsmX2IcrExit extends Named<'KVM_EXIT_DSM_X2_ICR'> {
  /** vcpu_id of the vCPU that wrote. */
  id: number;
  /** The 64 bits that it wrote to MSR 0x830. */
  data: bigint;
  /** Their fields. */
  icr: X2Icr;
}

/** IA32_APIC_BASE of a vCPU was written. */
export interface DsmApicBaseExit extends Named<'KVM_EXIT_DSM_APIC_BASE'> {
  /** vcpu_id of the vCPU whose register it is. */
  id: number;
  /** True: user space wrote it, by an ioctl; false: the guest. */
  host: boolean;
  /** The MSR's number: 0x1b, IA32_APIC_BASE. */
  index: number;
  /** The value written. */
  data: bigint;
}

/**
 * A guest accessed its APIC page: a number that the series reserves and gives no payload. The two fields are those of an
 * ancestor, and of the lab kernel's extension; what another kernel puts there is for it to say.
 */
export interface DapicExit extends Named<'KVM_EXIT_DAPIC'>, WithRaw {
  /** vcpu_id of the vCPU that accessed. */
  localCpuid: number;
  /** Where in the page, in bytes. */
  offset: number;
}

/** What the destination of a KVM_EXIT_DSM_PV_IPI is, in the order of the payload's `type`. */
const pvTargets = ['apicIds', 'vpIndices', 'all', 'kick', 'icr'] as const;

/**
 * A guest sent an interrupt, or woke a vCPU, by a paravirtual interface; it has been delivered locally as well. Profile
 * fixed-v1.
 */
export interface DsmPvIpiExit extends Named<'KVM_EXIT_DSM_PV_IPI'> {
  /** vcpu_id of the vCPU that sent it. */
  id: number;
  /** The 32 bits of the payload's `icr`; the destination, its mode and the shorthand are not in them. */
  data: number;
  /** The fields of `data`. */
  icr: Icr;
  /** What `base` and `mask` mean, 0 to 4: `target` in the payload's numbers. */
  type: number;
  /**
   * `apicIds`: the APIC ids that `mask` has, counted from `base`. `vpIndices`: likewise Hyper-V's VP indices. `all`: every
   * vCPU. `kick`: no interrupt; the vCPU with APIC id `base` is woken. `icr`: the destination `base` by the mode of `icr`.
   */
  target: (typeof pvTargets)[number] | null;
  /** The lowest id of the mask, or the one destination; see `target`. */
  base: number;
  /** 128 bits in two words: bit n stands for the id `base` + n. */
  mask: bigint[];
}

/** Every exit of the series, of whatever profile. */
export type DsmExits = DsmPvIpiExit | DsmSendIrqExit | DsmX2IcrExit | DsmApicBaseExit | DapicExit;

/** One exit of the series. */
interface DsmKind<E, P> extends Readable<E> {
  /** A decoder of this exit, whose payload has the layout that a profile gives it. */
  decoder(payload: P): (view: DataView, reason: number) => E;
}

type DsmKinds = { readonly [N in ProfileExitName]: DsmKind<Extract<DsmExits, Named<N>>, DsmPayload<N>> };

const u32 = integer(0, 0xffff_ffff);

/** One for each name that a profile has: without it, this does not compile. */
export const dsmExits: DsmKinds = {
  KVM_EXIT_DSM_SEND_IRQ: {
    fields: {
      id: u32,
      val: u32,
      val2: u32,
      destId: orNull(u32),
      register: orNull(oneOf(['ICR', 'ICR2', 'SELF_IPI'])),
      icr: decodedIcr,
      icr2: decodedIcr2,
    },
    decoder({ fields }) {
      const destination = 'destId' in fields ? fields.destId : null;
      return (view, reason) => {
        const val = fields.val.read(view, RUN_UNION_OFFSET);
        const val2 = fields.val2.read(view, RUN_UNION_OFFSET);
        const id = fields.id.read(view, RUN_UNION_OFFSET);
        const destId = destination === null ? null : destination.read(view, RUN_UNION_OFFSET);
        // Literals in full, here and in decodeIcr: object spread costs many times as much, and this is the hot exit.
        const name = 'KVM_EXIT_DSM_SEND_IRQ';
        if (val === lapicRegisters.ICR) {
          return { name, reason, id, val, val2, destId, register: 'ICR', icr: decodeIcr(val2) };
        }
        if (val === lapicRegisters.ICR2) {
          return { name, reason, id, val, val2, destId, register: 'ICR2', icr2: decodeIcr2(val2) };
        }
        return { name, reason, id, val, val2, destId, register: val === lapicRegisters.SELF_IPI ? 'SELF_IPI' : null };
      };
    },
    text({ id, register, val, val2, destId, icr, icr2 }) {
      const where = register ?? lapicRegisterName(val) ?? `register ${hex(val)}`;
      const write = `vCPU ${id} wrote ${where} = ${hex(val2, 8)}`;
      if (icr) return `${write} (${describeIcr(icr)})${target(icr, destId)}`;
      // Whether the destination is an APIC id or a logical one is for the ICR to say.
      return icr2 ? `${write} (destination ${hex(icr2.destination, 2)})` : write;
    },
    // ICR2's fields are `destId` and the reserved bits of `val2`.
    json: ({ icr, icr2: _, ...exit }) => ({ ...exit, ...(icr && { icr: icrToJson(icr) }) }),
    goesOnByItself: true,
  },
  KVM_EXIT_DSM_X2_ICR: {
    fields: { id: u32, data: u64Bigint, icr: decodedX2Icr },
    decoder: (payload) => (view, reason) => {
      const { id, data } = payload.read(view, RUN_UNION_OFFSET);
      return { name: 'KVM_EXIT_DSM_X2_ICR', reason, id, data, icr: decodeX2Icr(data) };
    },
    text: ({ id, data, icr }) =>
      `vCPU ${id} wrote x2APIC ICR = ${hex(data, 16)} (${describeIcr(icr)})${target(icr, icr.destination)}`,
    json: ({ icr, ...exit }) => ({ ...exit, icr: icrToJson(icr) }),
    goesOnByItself: true,
  },
  KVM_EXIT_DSM_APIC_BASE: {
    fields: { id: u32, host: boolean, index: u32, data: u64Bigint },
    decoder: (payload) => (view, reason) => ({
      name: 'KVM_EXIT_DSM_APIC_BASE',
      reason,
      ...payload.read(view, RUN_UNION_OFFSET),
    }),
    text: ({ host, index, id, data }) =>
      `${host ? 'the host' : 'the guest'} wrote MSR ${hex(index)} of vCPU ${id} = ${hex(data)}`,
    goesOnByItself: true,
  },
  KVM_EXIT_DSM_PV_IPI: {
    fields: {
      id: u32,
      data: u32,
      icr: decodedIcr,
      type: u32,
      target: orNull(oneOf(pvTargets)),
      base: u32,
      mask: wordsField(2),
    },
    decoder: (payload) => (view, reason) => {
      const { id, icr: data, type, base, mask } = payload.read(view, RUN_UNION_OFFSET);
      const target = pvTargets[type] ?? null;
      return { name: 'KVM_EXIT_DSM_PV_IPI', reason, id, data, icr: decodeIcr(data), type, target, base, mask };
    },
    text: pvIpiText,
    json: ({ icr, ...exit }) => ({ ...exit, icr: icrToJson(icr) }),
    goesOnByItself: true,
  },
  KVM_EXIT_DAPIC: {
    fields: { localCpuid: u32, offset: u32, raw: rawField },
    decoder: (payload) => (view, reason) => ({
      name: 'KVM_EXIT_DAPIC',
      reason,
      ...payload.read(view, RUN_UNION_OFFSET),
      raw: copyUnion(view),
    }),
    text({ localCpuid, offset }) {
      const register = lapicRegisterName(offset);
      return `vCPU ${localCpuid} accessed its APIC page at ${hex(offset, 3)}${register ? ` (${register})` : ''}`;
    },
    goesOnByItself: true,
  },
};

/** Under a shorthand the destination field means nothing, so it is not named. */
function target(icr: IcrCommand, destination: number | null): string {
  if (icr.shorthand !== 'none' || destination === null) return '';
  return icr.destinationMode === 'logical' ? ` for logical id ${hex(destination)}` : ` for APIC id ${destination}`;
}

function pvIpiText({ id, type, target: kind, icr, base, mask }: DsmPvIpiExit): string {
  if (kind === 'kick') return `vCPU ${id} woke the vCPU with APIC id ${base}`;
  const sent = `vCPU ${id} sent ${describeIcr(icr)}`;
  switch (kind) {
    case 'all':
      return `${sent} to every vCPU`;
    case 'apicIds':
      return `${sent} to APIC ids ${listed(base, mask)}`;
    case 'vpIndices':
      return `${sent} to VP indices ${listed(base, mask)}`;
    case 'icr':
      return sent + target(icr, base);
    default:
      return `${sent}: type ${type}, base ${hex(base)}, mask ${mask.map((word) => hex(word)).join(' ')}`;
  }
}

/** What a mask has, counted from `base`. */
export function maskMembers(base: number, mask: readonly bigint[]): number[] {
  return mask.flatMap((word, at) =>
    Array.from({ length: 64 }, (_, bit) => bit)
      .filter((bit) => (word >> BigInt(bit)) & 1n)
      .map((bit) => base + at * 64 + bit),
  );
}

const listed = (base: number, mask: readonly bigint[]) => maskMembers(base, mask).join(', ') || 'none';

function icrToJson({ vector, deliveryMode, destinationMode, level, trigger, shorthand }: IcrCommand): object {
  return { vector, deliveryMode, destinationMode, level, trigger, shorthand };
}

/** Whether the exit is one of the series, of whatever profile. */
export function isDsmExit(exit: Named<string>): boolean {
  return Object.hasOwn(dsmExits, exit.name);
}

/** The exits that are a guest's write of its ICR: the xAPIC's (ICR or ICR2), and the x2APIC's. */
export const icrWriteExits = ['KVM_EXIT_DSM_SEND_IRQ', 'KVM_EXIT_DSM_X2_ICR'] as const satisfies readonly DsmExitName[];

/** The exits that an IPI can come out by. */
export const ipiExits = [...icrWriteExits, 'KVM_EXIT_DSM_PV_IPI'] as const satisfies readonly DsmExitName[];

/** True for the name of an exit that is an ICR write. */
export function isIcrWriteName(name: unknown): boolean {
  return (icrWriteExits as readonly unknown[]).includes(name);
}

/** Whether the exit forwards an IPI, or a half of one: a write of ICR, ICR2 or SELF IPI, of the x2APIC's ICR, or a paravirtual one. */
export function forwardsIpi(exit: Named<string>): boolean {
  if (exit.name === 'KVM_EXIT_DSM_PV_IPI') return true;
  return isIcrWriteName(exit.name) && (exit as DsmSendIrqExit).register !== null;
}

/** The same of an exit that is not decoded: by its reason, and its payload at a place of a view. */
export function forwardsIpiAt({ exits }: DsmProfile): (view: DataView, payload: number, reason: number) => boolean {
  const whole = (['KVM_EXIT_DSM_X2_ICR', 'KVM_EXIT_DSM_PV_IPI'] as const).map((name) => exits[name]?.reason);
  const half = exits.KVM_EXIT_DSM_SEND_IRQ;
  const registers: readonly number[] = [lapicRegisters.ICR, lapicRegisters.ICR2, lapicRegisters.SELF_IPI];
  return (view, payload, reason) =>
    reason === half?.reason ? registers.includes(half.payload.fields.val.read(view, payload)) : whole.includes(reason);
}
