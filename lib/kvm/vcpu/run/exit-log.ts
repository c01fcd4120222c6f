/** The exits of a machine's vCPUs, and the messages to them, in one order, as the addon stores them: read in place. */
import type { DsmProfile } from '../../../abi/dsm/profiles.ts';
import { exitReasons } from '../../../abi/kvm/exit-reason.ts';
import { RUN_UNION_OFFSET, RUN_UNION_SIZE } from '../../../abi/kvm/kvm-run.ts';
import { decodeExit } from '../../../exit/decode.ts';
import type { Exit, ExitName } from '../../../exit/exit.ts';
import { decodeIo, decodeMmio, runIo } from '../../../exit/io.ts';
import { fieldsOf } from '../../../exit/kinds.ts';
import { createExitLog, type NativeExitLog } from '../../native.ts';
import type { VmAct } from '../../vm/acts.ts';

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

/** Words of the addon's `control`. */
const words = { head: 0, over: 1, why: 2, parked: 16 } as const;
const WHY_GOAL = 1;

const kinds = { none: 0, exits: 1, reason: 2, port: 3, word: 4, each: 5 } as const;
const ANY_VCPU = 0xffff_ffff;

/** struct LogRecord: ns u64, rip u64, rcx u32 or KVM_SIGNAL_MSI's answer, state u32, payload; and bits of the state. */
const RECORD = 64;
const ANSWER = 16;
const STATE = 20;
const PAYLOAD = 24;
const PAYLOAD_BYTES = RECORD - PAYLOAD;
const PARKED = 1 << 30;
/** Slots of the first part; each part has twice as many as the one before. */
const FIRST_PART_BITS = 10;

/** What stands for the vCPU where the slot has a message. */
const MESSAGE = 0xff;

/** What is known of a slot: nothing yet; all of its exit; that somebody is to look at it; or that it has a message. */
export type SlotState = 'empty' | 'whole' | 'parked' | 'message';

export class ExitLog {
  readonly native: NativeExitLog = createExitLog();
  readonly #control: Uint32Array;
  readonly #parts: DataView[] = [];
  readonly #profile: DsmProfile;
  /** kvm_run as decodeExit wants it, made again for each record that is decoded so. */
  readonly #run = new DataView(new ArrayBuffer(RUN_UNION_OFFSET + RUN_UNION_SIZE));

  constructor(profile: DsmProfile) {
    this.#profile = profile;
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
  begin(reasons: readonly number[], goal: LogGoal, ports: LogPorts): void {
    const number = (key: string, otherwise = 0) => (goal as unknown as Record<string, number>)[key] ?? otherwise;
    const count = number('count', 1);
    const each = [0, 0];
    if (goal.is === 'each') for (const id of goal.vcpus) each[id >> 5]! |= 1 << (id & 31);
    const { fault, assert, end } = ports;
    const [reason, port, value, vcpu] = [number('reason'), number('port'), number('value'), number('vcpu', ANY_VCPU)];
    const counts = [count % 2 ** 32, Math.floor(count / 2 ** 32)];
    const numbers = [kinds[goal.is], reason, port, value, vcpu, ...counts, ...each, fault, assert, end];
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

  state(slot: number): SlotState {
    const at = this.#at(slot);
    const view = this.#view;
    if (view === null) return 'empty';
    const state = view.getInt32(at + STATE, true);
    if (state >= 0) return 'empty';
    if (state & PARKED) return 'parked';
    return view.getUint8(at + STATE + 2) === MESSAGE ? 'message' : 'whole';
  }

  /** Of a slot that has a message. */
  message(slot: number): Extract<VmAct, { ioctl: 'KVM_SIGNAL_MSI' }> {
    const at = this.#at(slot);
    const view = this.#view!;
    const [addressLo, addressHi, data] = [0, 4, 8].map((word) => view.getUint32(at + PAYLOAD + word, true));
    const message = { addressLo: addressLo!, addressHi: addressHi!, data: data! };
    return { ioctl: 'KVM_SIGNAL_MSI', message, delivered: view.getInt32(at + ANSWER, true) > 0 };
  }

  /** Of a slot that has an exit, as all below but `ns`. */
  vcpu(slot: number): number {
    const at = this.#at(slot);
    return this.#view!.getUint8(at + STATE + 2);
  }

  /** CLOCK_MONOTONIC in nanoseconds. */
  ns(slot: number): number {
    const at = this.#at(slot);
    return this.#view!.getUint32(at, true) + this.#view!.getUint32(at + 4, true) * 2 ** 32;
  }

  rip(slot: number): bigint {
    const at = this.#at(slot);
    return this.#view!.getBigUint64(at + 8, true);
  }

  /** Its low half. */
  rcx(slot: number): number {
    const at = this.#at(slot);
    return this.#view!.getUint32(at + 16, true);
  }

  /** kvm_run.exit_reason. */
  reason(slot: number): number {
    const at = this.#at(slot);
    return this.#view!.getUint16(at + STATE, true);
  }

  /** The exit, decoded: a copy. Of one that is parked as much as a slot has room for. */
  exit(slot: number): Exit {
    const at = this.#at(slot);
    const view = this.#view!;
    const reason = view.getUint16(at + STATE, true);
    const payload = at + PAYLOAD;
    if (reason === exitReasons.KVM_EXIT_IO) return decodeIo(view, reason, payload, payload + runIo.size);
    if (reason === exitReasons.KVM_EXIT_MMIO) return decodeMmio(view, reason, payload);
    this.#run.setUint32(8, reason, true);
    for (let byte = 0; byte < PAYLOAD_BYTES; byte += 4)
      this.#run.setUint32(RUN_UNION_OFFSET + byte, view.getUint32(payload + byte, true), true);
    return decodeExit(this.#run, this.#profile);
  }

  /** The part that `#at` has found the slot in. */
  #view: DataView | null = null;

  /** Where in `#view` the slot begins. */
  #at(slot: number): number {
    const place = slot + (1 << FIRST_PART_BITS);
    const part = 31 - FIRST_PART_BITS - (place < 2 ** 32 ? Math.clz32(place) : -1);
    this.#view = this.#parts[part] ?? this.#open(part);
    return (place - 2 ** (part + FIRST_PART_BITS)) * RECORD;
  }

  #open(part: number): DataView | null {
    const memory = this.native.part(part);
    if (memory === null) return null;
    this.#parts[part] = new DataView(memory);
    return this.#parts[part]!;
  }
}

/** The exits that a slot has room for and that nobody has to look at: an access that waits for an answer is looked at. */
export function loggedReasons(profile: DsmProfile): number[] {
  const dsm = (Object.entries(profile.exits) as [string, { reason: number; payload: { size: number } }][]).filter(
    ([name, { payload }]) => payload.size <= PAYLOAD_BYTES && !('raw' in fieldsOf(name as ExitName)),
  );
  return [exitReasons.KVM_EXIT_IO, exitReasons.KVM_EXIT_MMIO, ...dsm.map(([, { reason }]) => reason)];
}
