/**
 * The Interrupt Command Register: what a guest writes to send an IPI. Source: Intel SDM volume 3, "Advanced Programmable
 * Interrupt Controller (APIC)", sections "Interrupt Command Register (ICR)" and "ICR Operation in x2APIC Mode".
 *
 * Every bit of a value is in some field, reserved ones included, so that decoding and encoding again gives the value back.
 */
import { ArgumentError } from '../../base/errors.ts';
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

function object(argument: string, value: unknown): void {
  if (typeof value !== 'object' || value === null) refuse(argument, value, 'an object');
}

function number(argument: string, value: number, high: number): number {
  if (!Number.isInteger(value) || value < 0 || value > high) refuse(argument, value, `an integer from 0 to ${high}`);
  return value;
}

function reservedBits(value: number, mask: number): number {
  if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff || (value & ~mask) !== 0) {
    refuse('reserved', value, `within the bits ${hex(mask)}`);
  }
  return value;
}

function choice<T extends string>(argument: string, value: T, choices: readonly T[]): number {
  const index = choices.indexOf(value);
  if (index < 0) refuse(argument, value, `one of ${choices.join(', ')}`);
  return index;
}

/** A write of the ICR: the vector, and what differs from fixed, physical, assert, edge, no shorthand. */
export type IcrFields = Pick<IcrCommand, 'vector'> & Partial<Icr>;
/** A write of the x2APIC's ICR: the vector and the destination, and what differs from the same defaults. */
export type X2IcrFields = Pick<X2Icr, 'vector' | 'destination'> & Partial<X2Icr>;

function encodeCommand(fields: Pick<IcrCommand, 'vector'> & Partial<IcrCommand>): number {
  object('fields', fields);
  return (
    number('vector', fields.vector, 0xff) |
    (choice('deliveryMode', fields.deliveryMode ?? 'fixed', deliveryModes) << 8) |
    (choice('destinationMode', fields.destinationMode ?? 'physical', destinationModes) << 11) |
    (choice('level', fields.level ?? 'assert', levels) << 14) |
    (choice('trigger', fields.trigger ?? 'edge', triggers) << 15) |
    (choice('shorthand', fields.shorthand ?? 'none', shorthands) << 18)
  );
}

/** The ICR's low 32 bits. Throws ArgumentError for a field that its bits cannot hold. */
export function encodeIcr(fields: IcrFields): number {
  return (
    (encodeCommand(fields) |
      (choice('deliveryStatus', fields.deliveryStatus ?? 'idle', deliveryStatuses) << 12) |
      reservedBits(fields.reserved ?? 0, ICR_RESERVED)) >>>
    0
  );
}

/** The ICR's high 32 bits in xAPIC mode. `destination`: 0..255, otherwise ArgumentError. */
export function encodeIcr2(fields: Pick<Icr2, 'destination'> & Partial<Icr2>): number {
  object('fields', fields);
  return (
    ((number('destination', fields.destination, 0xff) << 24) | reservedBits(fields.reserved ?? 0, ICR2_RESERVED)) >>> 0
  );
}

/** The x2APIC's ICR. `destination`: 0..0xffffffff. Throws ArgumentError for a field that its bits cannot hold. */
export function encodeX2Icr(fields: X2IcrFields): bigint {
  const low = (encodeCommand(fields) | reservedBits(fields.reserved ?? 0, X2_ICR_RESERVED)) >>> 0;
  return (BigInt(number('destination', fields.destination, 0xffff_ffff)) << 32n) | BigInt(low);
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

/** One line of text: `fixed vector 0xf0, physical, assert, edge`; a shorthand and reserved bits are named if set. */
export function describeIcr(icr: IcrCommand & Partial<Icr>): string {
  object('icr', icr);
  number('vector', icr.vector, 0xff);
  choice('deliveryMode', icr.deliveryMode, deliveryModes);
  choice('destinationMode', icr.destinationMode, destinationModes);
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
