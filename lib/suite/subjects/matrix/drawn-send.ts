/** IPIs that are drawn: any bit of ICR, any destination, and a model of who gets what. */
import { lapicRegisters } from '../../../abi/apic/lapic.ts';
import type { Random } from '../../../script/random.ts';
import type { Bed } from './bed.ts';
import type { Send } from './send.ts';

const LOGICAL = 1 << 11;
const BUSY = 1 << 12;
const ASSERT = 1 << 14;
const LEVEL = 1 << 15;
/** ICR 31:20, 17:16 and 13. */
const RESERVED = 0xfff3_2000;
const BROADCAST = 0xff;
/** Vectors below are none that a fixed IPI may have. */
const LEAST = 16;

const [FIXED, LOWEST, SMI, NMI, INIT, STARTUP] = [0, 1, 2, 4, 5, 6];
const [NONE, SELF, ALL, OTHERS] = [0, 1, 2, 3];

/** An IPI with its vector, and ICR2 for it. */
export interface DrawnSend {
  send: Send;
  vector: number;
}

/** What decides which IPIs a scene can have. */
export interface Sending {
  readonly bed: Bed;
  /** A place among the bed's vCPUs. */
  readonly sender: number;
  /** By place: what registers of the local APIC hold that they do not after reset. */
  readonly lapics: ReadonlyMap<number, ReadonlyMap<number, number>>;
  /** By place: events and MP states that are not plain. */
  readonly events: ReadonlyMap<number, unknown>;
  readonly mpStates: ReadonlyMap<number, unknown>;
  /** Each vCPU takes what it is sent. */
  readonly takesEach: boolean;
  /** The sender can be sent to. */
  readonly bearsOwn: boolean;
}

/** More than it takes to find one that the scene can have. */
const TRIES = 64;

/**
 * One that the scene can have. `held`: what ICR2 holds, if the IPI has to go where that says.
 *
 * Source of the model: SDM vol. 3 11.6.1 and 11.6.2; kvm_apic_match_dest(), __apic_accept_irq().
 */
export function drawSend(scene: Sending, random: Random, held: number | null): DrawnSend {
  for (let n = 0; n < TRIES; n++) {
    const one = drawOne(scene, random, held);
    if (one) return one;
  }
  return { send: { icr: 0x4700, destination: held ?? 0, addressees: [], leaves: 'nothing' }, vector: 0 };
}

function drawOne(scene: Sending, random: Random, held: number | null): DrawnSend | null {
  const { bed } = scene;
  const one = (count: number) => random.integer(1, count) === 1;
  const mode = one(3) ? FIXED : random.integer(0, 7);
  const shorthand = one(2) ? NONE : random.pick([SELF, ALL, OTHERS, OTHERS]);
  const logical = one(3);
  const level = !one(3);
  const trigger = one(3);
  const reserved = one(3) ? (random.integer(0, 0xffff_ffff) & RESERVED) >>> 0 : 0;
  const [ownId, named] = [scene.sender, random.integer(0, bed.vcpus.length - 1)].map((at) =>
    bed.apicId(at, scene.lapics.get(at)),
  );
  const somewhere = [named!, named!, ownId!, random.integer(0, 4), BROADCAST, random.integer(0, 255)];
  const destination = held ?? random.pick(somewhere);
  const vector = random.integer(mode === FIXED || mode === LOWEST ? LEAST : 0, 255);
  const icr =
    (mode << 8) |
    (logical ? LOGICAL : 0) |
    (one(2) ? BUSY : 0) |
    (level ? ASSERT : 0) |
    (trigger ? LEVEL : 0) |
    (shorthand << 18) |
    reserved;
  const addressees = bed.vcpus.flatMap((_, place) =>
    isNamed(scene, place, { shorthand, logical, destination }) ? [place] : [],
  );
  const leaves = leavesOf(mode, level, trigger);
  if (leaves === null ? addressees.length > 0 : !bears(scene, addressees, mode, logical)) return null;
  return { send: { icr: icr >>> 0, destination, addressees, leaves: leaves ?? 'nothing' }, vector };
}

/** `null`: it does more than the scene could judge. */
function leavesOf(mode: number, level: boolean, trigger: boolean): Send['leaves'] | null {
  if (mode === FIXED || mode === LOWEST) {
    if (trigger) return level ? 'irr-level' : 'nothing';
    return 'irr';
  }
  if (mode === SMI) return 'smi';
  if (mode === NMI) return 'nmi';
  if (mode === INIT) return trigger && !level ? 'nothing' : null;
  return mode === STARTUP ? null : 'nothing';
}

/** Whether the vCPUs of the scene can get it. */
function bears(scene: Sending, addressees: readonly number[], mode: number, logical: boolean): boolean {
  // Which of several gets it is nobody's to say; and KVM counts each bit of a logical destination as one that could.
  if (mode === LOWEST && (logical || addressees.length > 1)) return false;
  const counted = mode === NMI || mode === SMI;
  if (counted && !scene.takesEach) return false;
  // Of these one that has some already counts, joins or holds back what comes; and one that waits may be woken.
  const fixed = mode === FIXED || mode === LOWEST;
  if (!fixed && addressees.some((place) => scene.events.has(place) || scene.mpStates.has(place))) return false;
  if (!addressees.includes(scene.sender)) return true;
  // It would take an interrupt, or is about to.
  return !counted && scene.bearsOwn;
}

interface Named {
  shorthand: number;
  logical: boolean;
  destination: number;
}

function isNamed(scene: Sending, place: number, { shorthand, logical, destination }: Named): boolean {
  if (shorthand !== NONE) return shorthand === ALL || (place === scene.sender) === (shorthand === SELF);
  if (destination === BROADCAST) return true;
  const changes = scene.lapics.get(place);
  if (!logical) return scene.bed.apicId(place, changes) === destination;
  const own = (name: 'LDR' | 'DFR') =>
    changes?.get(lapicRegisters[name]) ?? scene.bed.register(scene.bed.plain[place]!, name);
  const id = own('LDR') >>> 24;
  if (own('DFR') >>> 28 === 0xf) return (id & destination) !== 0;
  return id >> 4 === destination >> 4 && (id & destination & 0xf) !== 0;
}
