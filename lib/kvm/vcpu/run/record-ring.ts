/** The ring into which a vCPU's thread stores exits: its records, read in place. */
import type { DsmProfile } from '../../../abi/dsm/profiles.ts';
import { exitReasons } from '../../../abi/kvm/exit-reason.ts';
import { RUN_UNION_OFFSET, RUN_UNION_SIZE } from '../../../abi/kvm/kvm-run.ts';
import { ArgumentError } from '../../../base/errors.ts';
import { decodeExit } from '../../../exit/decode.ts';
import type { Exit } from '../../../exit/exit.ts';
import { decodeIo, decodeMmio, runMmio } from '../../../exit/io.ts';
import type { NativeRecordPlan } from '../../native.ts';

/** One stored exit. */
export interface RecordedExit {
  /** Which exit of this run of the vCPU, from 0; those that were not stored are counted too. */
  readonly seq: number;
  /** When it came: CLOCK_MONOTONIC in nanoseconds, as `process.hrtime` has it. */
  readonly ns: number;
  /** RIP at the exit; `null` where the kernel lacks KVM_CAP_SYNC_REGS. */
  readonly rip: bigint | null;
  /** The exit, decoded: a copy. */
  readonly exit: Exit;
}

/** struct RecordHeader of the addon: seq u64, ns u64, rip u64, reason u32, flags u16, io_bytes u16. */
const HEADER_SIZE = 32;
const FLAG_RIP = 1;

/** The bytes of one record. */
export function recordSize({ unionBytes, ioBytes }: { unionBytes: number; ioBytes: number }): number {
  return (HEADER_SIZE + unionBytes + ioBytes + 7) & ~7;
}

/** Reads a recording ring: which records are next, and each of them. */
export class RecordReader {
  readonly #view: DataView;
  readonly #plan: NativeRecordPlan;
  readonly #profile: DsmProfile;
  readonly #stride: number;
  readonly #words: Int32Array;
  /** kvm_run as decodeExit wants it, made again for each record that is decoded: reason and union. */
  readonly #run: DataView;
  readonly #runWords: Int32Array;
  #next = 0;

  constructor(memory: ArrayBuffer, plan: NativeRecordPlan, profile: DsmProfile) {
    this.#view = new DataView(memory);
    this.#plan = plan;
    this.#profile = profile;
    this.#stride = recordSize(plan);
    this.#words = new Int32Array(memory);
    this.#runWords = new Int32Array((RUN_UNION_OFFSET + RUN_UNION_SIZE) / 4);
    this.#run = new DataView(this.#runWords.buffer);
  }

  get capacity(): number {
    return this.#plan.capacity;
  }

  /** The next `count` records, which lie in one piece. */
  batch(count: number): RecordBatch {
    return RecordBatch.of(this, this.#next, count);
  }

  /** They have been consumed. */
  advance(count: number): void {
    this.#next = (this.#next + count) % this.#plan.capacity;
  }

  seq(slot: number): number {
    return this.#u64(slot * this.#stride);
  }

  ns(slot: number): number {
    return this.#u64(slot * this.#stride + 8);
  }

  rip(slot: number): bigint | null {
    const at = slot * this.#stride;
    return this.#view.getUint16(at + 28, true) & FLAG_RIP ? this.#view.getBigUint64(at + 16, true) : null;
  }

  reason(slot: number): number {
    return this.#view.getUint32(slot * this.#stride + 24, true);
  }

  /** The IO data, in place. */
  data(slot: number): Uint8Array {
    const at = slot * this.#stride;
    const length = this.#view.getUint16(at + 30, true);
    return new Uint8Array(this.#view.buffer, at + HEADER_SIZE + this.#plan.unionBytes, length);
  }

  exit(slot: number): Exit {
    const at = slot * this.#stride;
    const reason = this.#view.getUint32(at + 24, true);
    const payload = at + HEADER_SIZE;
    // By far the most frequent ones need no kvm_run around them.
    if (reason === exitReasons.KVM_EXIT_IO)
      return decodeIo(this.#view, reason, payload, payload + this.#plan.unionBytes);
    if (reason === exitReasons.KVM_EXIT_MMIO && this.#plan.unionBytes >= runMmio.size)
      return decodeMmio(this.#view, reason, payload);
    this.#run.setUint32(8, reason, true);
    // Both begin at multiples of 4, and a loop costs less than a view of each record would.
    const words = this.#plan.unionBytes >> 2;
    const to = RUN_UNION_OFFSET >> 2;
    const from = payload >> 2;
    for (let word = 0; word < words; word++) this.#runWords[to + word] = this.#words[from + word]!;
    for (let byte = words << 2; byte < this.#plan.unionBytes; byte++)
      this.#run.setUint8(RUN_UNION_OFFSET + byte, this.#view.getUint8(payload + byte));
    return decodeExit(this.#run, this.#profile);
  }

  #u64(at: number): number {
    return this.#view.getUint32(at, true) + this.#view.getUint32(at + 4, true) * 2 ** 32;
  }
}

/**
 * Stored exits, in order, read in place: nothing is decoded or copied before it is asked for. Valid until `onRecords`
 * has returned. `i` goes from 0 to `length - 1`.
 */
export class RecordBatch implements Iterable<RecordedExit> {
  /** How many exits. */
  readonly length: number;
  readonly #reader: RecordReader;
  readonly #first: number;

  private constructor(reader: RecordReader, first: number, length: number) {
    this.#reader = reader;
    this.#first = first;
    this.length = length;
  }

  /** @internal The vCPU's run makes them. */
  static of(reader: RecordReader, first: number, length: number): RecordBatch {
    return new RecordBatch(reader, first, length);
  }

  /** Which exit of this run of the vCPU. */
  seq(i: number): number {
    return this.#reader.seq(this.#slot(i));
  }

  /** CLOCK_MONOTONIC, in nanoseconds. */
  ns(i: number): number {
    return this.#reader.ns(this.#slot(i));
  }

  /** RIP at the exit; `null` where the kernel lacks KVM_CAP_SYNC_REGS. */
  rip(i: number): bigint | null {
    return this.#reader.rip(this.#slot(i));
  }

  /** kvm_run.exit_reason. */
  reason(i: number): number {
    return this.#reader.reason(this.#slot(i));
  }

  /** What a KVM_EXIT_IO wrote, in place: not a copy. Empty for other exits. */
  data(i: number): Uint8Array {
    return this.#reader.data(this.#slot(i));
  }

  /** The exit, decoded: a copy. */
  exit(i: number): Exit {
    return this.#reader.exit(this.#slot(i));
  }

  /** Each exit, decoded: a copy. */
  [Symbol.iterator](): IterableIterator<RecordedExit> {
    return new Records(this.#reader, this.#first, this.length);
  }

  #slot(i: number): number {
    if (i >= 0 && i < this.length) return this.#first + i;
    throw new ArgumentError('i', `The batch has no record ${i}`, `Its records are 0 to ${this.length - 1}.`);
  }
}

/** The records of a batch in turn. A generator costs a good part of what decoding an exit does. */
class Records implements IterableIterator<RecordedExit> {
  readonly #reader: RecordReader;
  readonly #end: number;
  #slot: number;

  constructor(reader: RecordReader, first: number, length: number) {
    this.#reader = reader;
    this.#slot = first;
    this.#end = first + length;
  }

  next(): IteratorResult<RecordedExit, undefined> {
    if (this.#slot >= this.#end) return { value: undefined, done: true };
    const reader = this.#reader;
    const slot = this.#slot++;
    return {
      value: { seq: reader.seq(slot), ns: reader.ns(slot), rip: reader.rip(slot), exit: reader.exit(slot) },
      done: false,
    };
  }

  /** A loop that is left is over. */
  return(): IteratorResult<RecordedExit, undefined> {
    this.#slot = this.#end;
    return { value: undefined, done: true };
  }

  [Symbol.iterator](): this {
    return this;
  }
}
