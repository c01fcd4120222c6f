/** The exits of a machine's vCPUs, and the messages to them, in one order, as the addon stores them: read in place. */
import { lapicRegisters } from '../../../abi/apic/lapic.ts';
import type { DsmProfile } from '../../../abi/dsm/profiles.ts';
import { exitReasons } from '../../../abi/kvm/exit-reason.ts';
import type { ExitName } from '../../../exit/exit.ts';
import { fieldsOf } from '../../../exit/kinds.ts';
import { createExitLog, type NativeExitLog } from '../../native.ts';
import { PAYLOAD_BYTES, RECORD_BYTES, RecordDecoder, type RecordState, stateAt } from './log-record.ts';

/** What ends a run by itself: the addon counts, and its threads stop with the exit that does. */
export type LogGoal =
  | { is: 'none' }
  /** So many exits. */
  | { is: 'exits'; count: number }
  | { is: 'reason'; reason: number; count: number; vcpu?: number }
  /** An access to a port. */
  | { is: 'port'; port: number; vcpu?: number }
  /** An `out` of 4 bytes of this value. */
  | { is: 'word'; port: number; value: number; count: number; vcpu?: number }
  /** An `out` of 4 bytes to this port by each of these vCPUs. */
  | { is: 'each'; port: number; vcpus: readonly number[] };

/** The ports by which a guest says that it cannot go on. */
export interface LogPorts {
  readonly fault: number;
  readonly assert: number;
  readonly end: number;
}

/** Exits of a reason that is somebody's to look at, of which those go on by themselves that have this word in their payload. */
export interface LogHalf {
  readonly reason: number;
  /** In bytes, in the payload. */
  readonly offset: number;
  readonly value: number;
}

const NO_HALF: LogHalf = { reason: 0xffff_ffff, offset: 0, value: 0 };

/** Words of the addon's `control`. */
const words = { head: 0, over: 1, why: 2, parked: 16 } as const;
const WHY_GOAL = 1;

const kinds = { none: 0, exits: 1, reason: 2, port: 3, word: 4, each: 5 } as const;
const ANY_VCPU = 0xffff_ffff;

/** Slots of the first part; each part has twice as many as the one before. */
const FIRST_PART_BITS = 10;

export class ExitLog {
  readonly native: NativeExitLog = createExitLog();
  readonly #control: Uint32Array;
  readonly #parts: DataView[] = [];
  readonly #decoder: RecordDecoder;

  constructor(profile: DsmProfile) {
    this.#decoder = new RecordDecoder(profile);
    this.#control = new Uint32Array(this.native.control);
  }

  /** How many slots have been taken. */
  get length(): number {
    return Atomics.load(this.#control, words.head);
  }

  /** Takes the next slot, for what is no exit of a thread's. */
  reserve(): number {
    return Atomics.add(this.#control, words.head, 1);
  }

  /** A run begins. No thread is at work. */
  begin(reasons: readonly number[], goal: LogGoal, ports: LogPorts, half = NO_HALF): void {
    const number = (key: string, otherwise = 0) => (goal as unknown as Record<string, number>)[key] ?? otherwise;
    const count = number('count', 1);
    const each = [0, 0];
    if (goal.is === 'each') for (const id of goal.vcpus) each[id >> 5]! |= 1 << (id & 31);
    const { fault, assert, end } = ports;
    const [reason, port, value, vcpu] = [number('reason'), number('port'), number('value'), number('vcpu', ANY_VCPU)];
    const counts = [count % 2 ** 32, Math.floor(count / 2 ** 32)];
    const numbers = [
      kinds[goal.is],
      reason,
      port,
      value,
      vcpu,
      ...counts,
      ...each,
      fault,
      assert,
      end,
      half.reason,
      half.offset,
      half.value,
    ];
    this.native.begin(Uint8Array.from(reasons), Uint32Array.from(numbers));
  }

  /** The slot of the exit that ended the run; -1 as long as none has. */
  get over(): number {
    return Atomics.load(this.#control, words.over) - 1;
  }

  /** The run is over with that exit, because it is what the run waited for. */
  endedBy(slot: number): boolean {
    return this.over === slot && Atomics.load(this.#control, words.why) === WHY_GOAL;
  }

  /** An exit that the addon could not judge counts after all. True if the run is over with it. */
  count(slot: number): boolean {
    return this.native.count(slot);
  }

  /** The slot of the exit with which a vCPU waits; -1 if there is none. */
  parked(vcpuId: number): number {
    return Atomics.load(this.#control, words.parked + vcpuId) - 1;
  }

  /** The same, and somebody has looked at it. */
  takeParked(vcpuId: number): number {
    return Atomics.exchange(this.#control, words.parked + vcpuId, 0) - 1;
  }

  state(slot: number): RecordState {
    const at = this.#at(slot);
    return this.#view === null ? 'empty' : stateAt(this.#view, at);
  }

  /** Gives the record of a slot that is filled to who can read it. */
  read<T>(slot: number, reader: (view: DataView, at: number, decoder: RecordDecoder) => T): T {
    const at = this.#at(slot);
    return reader(this.#view!, at, this.#decoder);
  }

  /** A copy of the records of slots that are filled, from one on: all up to another, or as many as lie together. */
  records(from: number, to: number): Uint8Array {
    const at = this.#at(from);
    const { buffer, byteOffset, byteLength } = this.#view!;
    const length = Math.min((to - from) * RECORD_BYTES, byteLength - at);
    return new Uint8Array(buffer, byteOffset + at, length).slice();
  }

  /** The part that `#at` has found the slot in. */
  #view: DataView | null = null;

  /** Where in `#view` the slot begins. */
  #at(slot: number): number {
    const place = slot + (1 << FIRST_PART_BITS);
    const part = 31 - FIRST_PART_BITS - (place < 2 ** 32 ? Math.clz32(place) : -1);
    this.#view = this.#parts[part] ?? this.#open(part);
    return (place - 2 ** (part + FIRST_PART_BITS)) * RECORD_BYTES;
  }

  #open(part: number): DataView | null {
    const memory = this.native.part(part);
    if (memory === null) return null;
    this.#parts[part] = new DataView(memory);
    return this.#parts[part]!;
  }
}

/**
 * Writes of the xAPIC's ICR2, which send nothing, where the exit of the ICR's write has the destination as well. `undefined`: this profile's has not, so
 * that somebody has to remember it.
 */
export function firstHalves({ exits }: DsmProfile): LogHalf | undefined {
  const { reason, payload } = exits.KVM_EXIT_DSM_SEND_IRQ;
  if (!('destId' in payload.fields)) return undefined;
  return { reason, offset: payload.fields.val.offset, value: lapicRegisters.ICR2 };
}

/** The exits that a slot has room for and that nobody has to look at: an access that waits for an answer is looked at. */
export function loggedReasons(profile: DsmProfile): number[] {
  const dsm = (Object.entries(profile.exits) as [string, { reason: number; payload: { size: number } }][]).filter(
    ([name, { payload }]) => payload.size <= PAYLOAD_BYTES && !('raw' in fieldsOf(name as ExitName)),
  );
  return [exitReasons.KVM_EXIT_IO, exitReasons.KVM_EXIT_MMIO, ...dsm.map(([, { reason }]) => reason)];
}
