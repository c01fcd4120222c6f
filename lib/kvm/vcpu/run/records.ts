import type { DsmProfile } from '../../../abi/dsm/profiles.ts';
import { exitReasons } from '../../../abi/kvm/exit-reason.ts';
import { RUN_UNION_OFFSET, RUN_UNION_SIZE } from '../../../abi/kvm/kvm-run.ts';
import { checkFunction, checkList, checkObject } from '../../../base/check.ts';
import { ArgumentError } from '../../../base/errors.ts';
import { show } from '../../../base/text.ts';
import { decodeExit } from '../../../exit/decode.ts';
import type { Exit, ExitName } from '../../../exit/exit.ts';
import { runIo } from '../../../exit/io.ts';
import { goesOnByItself } from '../../../exit/kinds.ts';
import type { NativeRecordPlan } from '../../native.ts';

/**
 * Exits that a vCPU's thread stores by itself and goes on: JavaScript gets them in batches. An access that waits for an
 * answer (`in`, a read of MMIO, more data than `ioBytes`) is never stored: it comes as any other exit.
 */
export interface RecordOptions {
  /** Which exits, by name (of mainline or of the profile) or by number from 0 to 255. */
  exits: readonly (ExitName | number)[];
  /**
   * Takes the records, in order. A batch is valid until this returns, or until its promise resolves: no more come
   * meanwhile, and when the ring is full the vCPU waits. What it throws ends the run.
   */
  onRecords: (batch: RecordBatch) => void | Promise<void>;
  /** Records that the ring holds: a power of two from 2 to 2^20. Default 4096. */
  capacity?: number;
  /** How many bytes of kvm_run's union are kept, 16 to 256; `exit()` sees zeros for the rest. Default 256. */
  unionBytes?: number;
  /** Room for the data of a KVM_EXIT_IO in bytes, 0 to 4096. Default 16. */
  ioBytes?: number;
}

/** One stored exit. */
export interface RecordedExit {
  /** Which exit of this run of the vCPU, from 0; those that were not stored are counted too. */
  readonly seq: number;
  /** When it came: CLOCK_MONOTONIC in nanoseconds, as `process.hrtime` has it. */
  readonly ns: number;
  /** RIP at the exit; `null` where the kernel lacks KVM_CAP_SYNC_REGS. */
  readonly rip: bigint | null;
  readonly exit: Exit;
}

/** struct RecordHeader of the addon: seq u64, ns u64, rip u64, reason u32, flags u16, io_bytes u16. */
const HEADER_SIZE = 32;
const FLAG_RIP = 1;

/** Checks the options. Throws ArgumentError. */
export function recordPlan(options: RecordOptions, profile: DsmProfile, rip: boolean): NativeRecordPlan {
  checkFunction('onRecords', checkObject('record', options).onRecords);
  checkList('exits', options.exits);
  const capacity = inRange('capacity', options.capacity ?? 4096, 2, 1 << 20);
  if ((capacity & (capacity - 1)) !== 0)
    throw new ArgumentError('capacity', `capacity ${capacity} is not a power of two`, 'Use 1024, 4096, ...');
  return {
    reasons: options.exits.map((exit) => reasonOf(exit, profile)),
    capacity,
    unionBytes: inRange('unionBytes', options.unionBytes ?? RUN_UNION_SIZE, 16, RUN_UNION_SIZE),
    ioBytes: inRange('ioBytes', options.ioBytes ?? 16, 0, 4096),
    watermark: capacity / 2,
    rip,
  };
}

function reasonOf(exit: ExitName | number, profile: DsmProfile): number {
  const known: Record<string, number | undefined> = exitReasons;
  const dsm: Record<string, { reason: number } | undefined> = profile.exits;
  const named = typeof exit === 'string' && (Object.hasOwn(dsm, exit) || Object.hasOwn(known, exit));
  const reason = typeof exit === 'number' ? exit : named ? (dsm[exit]?.reason ?? known[exit]) : undefined;
  if (reason === undefined)
    throw new ArgumentError('exits', `${show(exit)} is not the name of an exit with a number`, 'Give its number.');
  inRange('exits', reason, 0, 255);
  if (!goesOnByItself(reason, profile))
    throw new ArgumentError(
      'exits',
      `${exit} cannot be recorded: the guest does not go on by itself after it`,
      'Leave it out: it comes to onExit or the iterator.',
    );
  return reason;
}

function inRange(argument: string, value: number, min: number, max: number): number {
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new ArgumentError(argument, `${argument} ${show(value)} is not an integer from ${min} to ${max}`, 'Change it.');
}

/** Reads a recording ring: which records are next, and each of them. */
export class RecordReader {
  readonly #view: DataView;
  readonly #plan: NativeRecordPlan;
  readonly #profile: DsmProfile;
  readonly #stride: number;
  /** kvm_run as decodeExit wants it, made again for each record that is decoded: reason, union, then the IO data. */
  readonly #run: DataView;
  readonly #bytes: Uint8Array;
  #next = 0;

  constructor(memory: ArrayBuffer, plan: NativeRecordPlan, profile: DsmProfile) {
    this.#view = new DataView(memory);
    this.#plan = plan;
    this.#profile = profile;
    this.#stride = (HEADER_SIZE + plan.unionBytes + plan.ioBytes + 7) & ~7;
    this.#bytes = new Uint8Array(RUN_UNION_OFFSET + RUN_UNION_SIZE + plan.ioBytes);
    this.#run = new DataView(this.#bytes.buffer);
  }

  get capacity(): number {
    return this.#plan.capacity;
  }

  /** The next `count` records, which lie in one piece. */
  batch(count: number): RecordBatch {
    return new RecordBatch(this, this.#next, count);
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
    const reason = this.reason(slot);
    const union = new Uint8Array(this.#view.buffer, slot * this.#stride + HEADER_SIZE, this.#plan.unionBytes);
    this.#run.setUint32(8, reason, true);
    this.#bytes.set(union, RUN_UNION_OFFSET);
    if (reason !== exitReasons.KVM_EXIT_IO) return decodeExit(this.#run, this.#profile);
    const dataOffset = runIo.fields.dataOffset.read(this.#run, RUN_UNION_OFFSET);
    const here = RUN_UNION_OFFSET + RUN_UNION_SIZE;
    this.#bytes.set(this.data(slot), here);
    runIo.write(this.#run, { dataOffset: BigInt(here) }, RUN_UNION_OFFSET);
    return { ...decodeExit(this.#run, this.#profile), dataOffset } as Exit;
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
  readonly length: number;
  readonly #reader: RecordReader;
  readonly #first: number;

  /** The vCPU's run makes them. */
  constructor(reader: RecordReader, first: number, length: number) {
    this.#reader = reader;
    this.#first = first;
    this.length = length;
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

  *[Symbol.iterator](): Iterator<RecordedExit> {
    for (let i = 0; i < this.length; i++)
      yield { seq: this.seq(i), ns: this.ns(i), rip: this.rip(i), exit: this.exit(i) };
  }

  #slot(i: number): number {
    if (i >= 0 && i < this.length) return this.#first + i;
    throw new ArgumentError('i', `The batch has no record ${i}`, `Its records are 0 to ${this.length - 1}.`);
  }
}
