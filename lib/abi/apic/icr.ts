/**
 * The Interrupt Command Register: what a guest writes to send an IPI. Source: Intel SDM volume 3, "Advanced Programmable
 * Interrupt Controller (APIC)", sections "Interrupt Command Register (ICR)" and "ICR Operation in x2APIC Mode".
 *
 * Every bit of a value is in some field, reserved ones included, so that decoding and encoding again gives the value back.
 */
import { ArgumentError } from '../../base/errors.ts';
import { integer, oneOf, optional, shape, type ValueCheck } from '../../base/shape.ts';
import { hex, show } from '../../base/text.ts';

/** Bits 10:8, in the order of their value. The SDM reserves 3 and 7. */
const deliveryModes = ['fixed', 'lowestPriority', 'smi', 'reserved3', 'nmi', 'init', 'startUp', 'reserved7'] as const;
/** Bit 11. */
const destinationModes = ['physical', 'logical'] as const;
/** Bit 12, read-only for the guest. */
const deliveryStatuses = ['idle', 'sendPending'] as const;
/** Bit 14. */
const levels = ['deassert', 'assert'] as const;
/** Bit 15. */
const triggers = ['edge', 'level'] as const;
/** Bits 19:18. */
const shorthands = ['none', 'self', 'allIncludingSelf', 'allExcludingSelf'] as const;

export type DeliveryMode = (typeof deliveryModes)[number];
export type DestinationMode = (typeof destinationModes)[number];
export type DeliveryStatus = (typeof deliveryStatuses)[number];
export type Level = (typeof levels)[number];
export type Trigger = (typeof triggers)[number];
export type Shorthand = (typeof shorthands)[number];

/** The fields that the xAPIC's ICR and the x2APIC's have in common. */
export interface IcrCommand {
  /** Bits 7:0, 0..255. For startUp: the page number of the start address. */
  vector: number;
  /** Bits 10:8. */
  deliveryMode: DeliveryMode;
  /** Bit 11: the destination is an APIC id (physical) or a logical id. */
  destinationMode: DestinationMode;
  /** Bit 14. `deassert` only means something for INIT. */
  level: Level;
  /** Bit 15. */
  trigger: Trigger;
  /** Bits 19:18: a destination that needs no id. */
  shorthand: Shorthand;
}

/** The low half of the ICR (register 0x300) in xAPIC mode. */
export interface Icr extends IcrCommand {
  /** Bit 12. */
  deliveryStatus: DeliveryStatus;
  /** The reserved bits 13, 17:16 and 31:20, where they stand in the register. */
  reserved: number;
}

/** The high half of the ICR (register 0x310) in xAPIC mode. */
export interface Icr2 {
  /** Bits 31:24: an APIC id, or a logical id; 0xff is everyone. */
  destination: number;
  /** The reserved bits 23:0. */
  reserved: number;
}

/** The 64-bit ICR of x2APIC mode (MSR 0x830). */
export interface X2Icr extends IcrCommand {
  /** Bits 63:32; 0xffffffff is everyone. */
  destination: number;
  /** The reserved bits 13:12, 17:16 and 31:20, where they stand: x2APIC mode has no delivery status. */
  reserved: number;
}

const U32 = 0xffff_ffff;
const ICR_RESERVED = 0xfff3_2000;
const X2_ICR_RESERVED = 0xfff3_3000;
const ICR2_RESERVED = 0x00ff_ffff;

/** The fields of the ICR's low 32 bits. */
export function decodeIcr(value: number): Icr {
  if (typeof value !== 'number') refuse('value', value, 'a number');
  return {
    vector: value & 0xff,
    deliveryMode: deliveryModes[((value >>> 8) & 7) as 0],
    destinationMode: destinationModes[((value >>> 11) & 1) as 0],
    deliveryStatus: deliveryStatuses[((value >>> 12) & 1) as 0],
    level: levels[((value >>> 14) & 1) as 0],
    trigger: triggers[((value >>> 15) & 1) as 0],
    shorthand: shorthands[((value >>> 18) & 3) as 0],
    reserved: (value & ICR_RESERVED) >>> 0,
  };
}

/** The fields of the ICR's high 32 bits in xAPIC mode. */
export function decodeIcr2(value: number): Icr2 {
  if (typeof value !== 'number') refuse('value', value, 'a number');
  return { destination: value >>> 24, reserved: value & ICR2_RESERVED };
}

/** The fields of the x2APIC's ICR, 0..2^64-1. */
export function decodeX2Icr(value: bigint): X2Icr {
  if (typeof value !== 'bigint') refuse('value', value, 'a bigint');
  const low = Number(value & 0xffff_ffffn);
  const { vector, deliveryMode, destinationMode, level, trigger, shorthand } = decodeIcr(low);
  const destination = Number((value >> 32n) & 0xffff_ffffn);
  // In full: object rest costs a hundred times as much.
  return {
    vector,
    deliveryMode,
    destinationMode,
    level,
    trigger,
    shorthand,
    reserved: (low & X2_ICR_RESERVED) >>> 0,
    destination,
  };
}

function refuse(argument: string, value: unknown, expected: string): never {
  throw new ArgumentError(
    argument,
    `${argument} is ${expected}, got ${typeof value === 'string' ? value : show(value)}`,
    `Pass ${expected}.`,
  );
}

function reservedBits(mask: number): ValueCheck<number> {
  return (argument, value) => {
    if (
      Number.isInteger(value) &&
      (value as number) >= 0 &&
      ((value as number) & ~mask) === 0 &&
      (value as number) <= U32
    )
      return value as number;
    return refuse(argument, value, `within the bits ${hex(mask)}`);
  };
}

const commandChecks = {
  vector: integer(0, 0xff),
  deliveryMode: oneOf(deliveryModes),
  destinationMode: oneOf(destinationModes),
  level: oneOf(levels),
  trigger: oneOf(triggers),
  shorthand: oneOf(shorthands),
};
const icrChecks = {
  ...commandChecks,
  deliveryStatus: oneOf(deliveryStatuses),
  reserved: reservedBits(ICR_RESERVED),
};
const x2IcrChecks = { ...commandChecks, destination: integer(0, U32), reserved: reservedBits(X2_ICR_RESERVED) };

/** What was decoded of each register, as a field of something else. */
export const decodedIcr = shape<Icr>('the ICR has', icrChecks);
export const decodedIcr2 = shape<Icr2>('ICR2 has', {
  destination: integer(0, 0xff),
  reserved: reservedBits(ICR2_RESERVED),
});
export const decodedX2Icr = shape<X2Icr>("the x2APIC's ICR has", x2IcrChecks);

/** A write of the ICR: the vector, and what differs from fixed, physical, assert, edge, no shorthand. */
export type IcrFields = Pick<IcrCommand, 'vector'> & Partial<Icr>;
/** A write of the x2APIC's ICR: the vector and the destination, and what differs from the same defaults. */
export type X2IcrFields = Pick<X2Icr, 'vector' | 'destination'> & Partial<X2Icr>;

/** All but the vector may be left out. */
export const commandOptions = {
  deliveryMode: optional(commandChecks.deliveryMode),
  destinationMode: optional(commandChecks.destinationMode),
  level: optional(commandChecks.level),
  trigger: optional(commandChecks.trigger),
  shorthand: optional(commandChecks.shorthand),
};
/** What the xAPIC's has besides. */
export const optionalIcrBits = {
  deliveryStatus: optional(icrChecks.deliveryStatus),
  reserved: optional(icrChecks.reserved),
};
const icrFields = shape<IcrFields>('the ICR has', {
  vector: commandChecks.vector,
  ...commandOptions,
  ...optionalIcrBits,
});
const icr2Fields = shape<Pick<Icr2, 'destination'> & Partial<Icr2>>('ICR2 has', {
  destination: integer(0, 0xff),
  reserved: optional(reservedBits(ICR2_RESERVED)),
});
const x2IcrFields = shape<X2IcrFields>("the x2APIC's ICR has", {
  vector: commandChecks.vector,
  destination: x2IcrChecks.destination,
  ...commandOptions,
  reserved: optional(x2IcrChecks.reserved),
});

function encodeCommand(fields: Pick<IcrCommand, 'vector'> & Partial<IcrCommand>): number {
  const { vector, deliveryMode = 'fixed', destinationMode = 'physical' } = fields;
  const { level = 'assert', trigger = 'edge', shorthand = 'none' } = fields;
  return (
    vector |
    (deliveryModes.indexOf(deliveryMode) << 8) |
    (destinationModes.indexOf(destinationMode) << 11) |
    (levels.indexOf(level) << 14) |
    (triggers.indexOf(trigger) << 15) |
    (shorthands.indexOf(shorthand) << 18)
  );
}

/** The ICR's low 32 bits. Throws ArgumentError for a field that its bits cannot hold. */
export function encodeIcr(fields: IcrFields): number {
  const given = icrFields.take(fields, 'fields');
  const { deliveryStatus = 'idle', reserved = 0 } = given;
  return (encodeCommand(given) | (deliveryStatuses.indexOf(deliveryStatus) << 12) | reserved) >>> 0;
}

/** The ICR's high 32 bits in xAPIC mode. `destination`: 0..255, otherwise ArgumentError. */
export function encodeIcr2(fields: Pick<Icr2, 'destination'> & Partial<Icr2>): number {
  const { destination, reserved = 0 } = icr2Fields.take(fields, 'fields');
  return ((destination << 24) | reserved) >>> 0;
}

/** The x2APIC's ICR. `destination`: 0..0xffffffff. Throws ArgumentError for a field that its bits cannot hold. */
export function encodeX2Icr(fields: X2IcrFields): bigint {
  const given = x2IcrFields.take(fields, 'fields');
  const low = (encodeCommand(given) | (given.reserved ?? 0)) >>> 0;
  return (BigInt(given.destination) << 32n) | BigInt(low);
}

const inWords: Partial<Record<string, string>> = {
  lowestPriority: 'lowest priority',
  reserved3: 'reserved mode 3',
  reserved7: 'reserved mode 7',
  startUp: 'start-up',
  self: 'to self',
  allIncludingSelf: 'to all including self',
  allExcludingSelf: 'to all excluding self',
};

/** An ICR of either mode. */
const describedIcr = shape<IcrCommand & Partial<Icr & X2Icr>>('the ICR has', {
  ...commandChecks,
  deliveryStatus: optional(icrChecks.deliveryStatus),
  destination: optional(x2IcrChecks.destination),
  reserved: optional(integer(0, U32)),
});

/** One line of text: `fixed vector 0xf0, physical, assert, edge`; a shorthand and reserved bits are named if set. */
export function describeIcr(icr: IcrCommand & Partial<Icr>): string {
  describedIcr.take(icr, 'icr');
  const parts = [
    `${inWords[icr.deliveryMode] ?? icr.deliveryMode} vector ${hex(icr.vector, 2)}`,
    icr.destinationMode,
    icr.level,
    icr.trigger,
  ];
  if (icr.shorthand !== 'none') parts.push(inWords[icr.shorthand] ?? icr.shorthand);
  if (icr.deliveryStatus === 'sendPending') parts.push('send pending');
  if (icr.reserved) parts.push(`reserved bits ${hex(icr.reserved)}`);
  return parts.join(', ');
}
