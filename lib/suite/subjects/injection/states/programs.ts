/**
 * The writes that are made in every state. Those of one ioctl set each bit that its value has, name each kind of
 * destination, and change something at the source and at the target each.
 */
import { APIC_DEFAULT_PHYS_BASE } from '../../../../abi/apic/lapic.ts';
import { APIC_BASE_ENABLE, APIC_BASE_EXTD } from '../../../../abi/apic/msr.ts';
import type { TwinWrite } from '../../../kit/twin-writes.ts';
import type { Pair } from './pair.ts';

/** Whom a program names: ids as the mode has them. */
interface Named {
  self: number;
  one: number;
  another: number;
  /** A logical id of `one`. */
  logical: number;
}

/** No vCPU has it. */
const NOBODY = 0x77;

function others(pair: Pair): [number, number] {
  const { ids, source } = pair.options;
  const places = ids.map((_, place) => place).filter((place) => place !== source);
  return [places[0] ?? source, places[1] ?? places[0] ?? source];
}

function xapicNames(pair: Pair): Named {
  const [one, another] = others(pair);
  const id = (place: number) => pair.register(place, 'ID') >>> 24;
  return {
    self: id(pair.options.source),
    one: id(one),
    another: id(another),
    logical: pair.register(one, 'LDR') >>> 24,
  };
}

function x2Names(pair: Pair): Named {
  const [one, another] = others(pair);
  const id = (place: number) => pair.options.ids[place]!;
  return {
    self: id(pair.options.source),
    one: id(one),
    another: id(another),
    logical: pair.register(one, 'LDR'),
  };
}

/** Vectors that no state has at any vCPU. All of them have bits 1:0. */
const IPIS = (to: Named): readonly (readonly [destination: number, icr: number])[] => [
  [to.one, 0x4093],
  [to.logical | 0x80, 0x49b3],
  [to.another, 0xc0a3],
  [0xa5, 0x4_40cb],
  [0xb6, 0xc_40d3],
  [to.self, 0x4067],
  [NOBODY, 0x40e3],
  [0xff, 0x40f3],
  [0xff, 0x487b],
  [to.one, 0x5097],
  [to.one, 0x0073],
];

/** A guest that is itself the only one would end by them. An INIT forgets what came before it. */
const EVENTS = (to: Named): readonly (readonly [destination: number, icr: number])[] => [
  [to.logical, 0x4c00],
  [to.another, 0x4200],
  [to.another, 0xc500],
  [to.another, 0x4612],
  [to.one, 0x4693],
];

const alone = (pair: Pair) => pair.options.ids.length === 1;

/** Everything of every vCPU is looked at after each of these groups. */
export type ReplayProgram = readonly (readonly TwinWrite[])[];

const both = (rows: ReturnType<typeof IPIS>): TwinWrite[] =>
  rows.flatMap(([destination, value], n) => [
    // The register does not keep the rest.
    { register: 'ICR2', value: ((destination << 24) | (n % 2 ? 0xa5_0f3c : 0)) >>> 0, destId: destination },
    { register: 'ICR', value, destId: destination },
  ]);

export function ipis(pair: Pair): ReplayProgram {
  const names = xapicNames(pair);
  return alone(pair) ? [both(IPIS(names))] : [both(IPIS(names)), both(EVENTS(names))];
}

const x2 = (destination: number, icr: number): TwinWrite => ({
  register: 'x2',
  value: (BigInt(destination) << 32n) | BigInt(icr),
});

export function x2Ipis(pair: Pair): ReplayProgram {
  const to = x2Names(pair);
  const rows: TwinWrite[] = [
    x2(to.one, 0x4093),
    x2(to.logical, 0x49b3),
    x2(to.another, 0xc0a3),
    x2(0x0300_00a5, 0x4_40cb),
    x2(to.self, 0x4067),
    x2(0x8300_0003, 0x40e3),
    x2(0xff, 0x40f3),
    x2(to.one, 0x5097),
    x2(to.one, 0x0073),
    x2(0, 0xc_40d3),
    x2(0x0200_0001, 0x8_40db),
    x2(0xffff_ffff, 0x40ab),
  ];
  if (alone(pair)) return [rows];
  return [rows, [x2(to.logical, 0x4c00), x2(to.another, 0x4200), x2(to.another, 0xc500), x2(to.another, 0x4612)]];
}

/** Vectors after which everything is looked at. */
const AT_ONCE = 64;

const inGroups = (vectors: readonly number[], group: (some: readonly number[]) => TwinWrite[]): ReplayProgram =>
  Array.from({ length: Math.ceil(vectors.length / AT_ONCE) }, (_, n) =>
    group(vectors.slice(n * AT_ONCE, (n + 1) * AT_ONCE)),
  );

/** Each vector once: a bit of one that is wrong makes two of another. */
export function ipiVectors(pair: Pair, vectors: readonly number[]): ReplayProgram {
  const { one, another } = xapicNames(pair);
  return inGroups(vectors, (some) => both(some.map((vector) => [vector & 1 ? one : another, 0x4000 | vector])));
}

export function x2Vectors(pair: Pair, vectors: readonly number[]): ReplayProgram {
  const { one, another } = x2Names(pair);
  return inGroups(vectors, (some) => some.map((vector) => x2(vector & 1 ? one : another, 0x4000 | vector)));
}

const PAGE = BigInt(APIC_DEFAULT_PHYS_BASE);
const MOVED = 0xfed1_1000n;
const [EN, EXTD, BSP] = [APIC_BASE_ENABLE, APIC_BASE_EXTD, 1n << 8n];

const base = (value: bigint, host = false): TwinWrite => ({ register: 'base', value, host });

/** From xAPIC mode. What the host alone can write is there as well as what a guest can. */
export function bases(pair: Pair): ReplayProgram {
  // Off, and on again by what the host alone may do, before the mode has changed anything.
  const restart = [base(MOVED | BSP), base(MOVED | EN | EXTD | BSP, true), base(PAGE | EN | BSP, true)];
  const moves = [base(MOVED | EN | BSP), base(PAGE | EN, true), base(MOVED | EN | BSP, true), base(PAGE | EN | BSP)];
  // Without CPUID there is no such mode.
  if (pair.options.cpuid === 'none') return [[...moves, base(MOVED), base(PAGE | EN | BSP)]];
  const modes = [
    base(MOVED | EN | EXTD | BSP),
    base(PAGE | EN | BSP, true),
    base(MOVED | EN | EXTD, true),
    base(MOVED),
    base(MOVED | EN | EXTD | BSP, true),
    base(PAGE | EN, true),
  ];
  return [[...restart, ...moves, ...modes]];
}
