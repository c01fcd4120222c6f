/** Which exits a vCPU's thread is to store by itself, and what the addon is told of it. */
import { constants } from 'node:buffer';
import type { DsmProfile } from '../../../abi/dsm/profiles.ts';
import { exitReasons } from '../../../abi/kvm/exit-reason.ts';
import { RUN_UNION_SIZE } from '../../../abi/kvm/kvm-run.ts';
import { checkInteger } from '../../../base/check.ts';
import { ArgumentError } from '../../../base/errors.ts';
import { suggest } from '../../../base/nearest.ts';
import { func, integer, listOf, optional, shape } from '../../../base/shape.ts';
import { show } from '../../../base/text.ts';
import type { ExitName } from '../../../exit/exit.ts';
import { goesOnByItself } from '../../../exit/kinds.ts';
import type { NativeRecordPlan } from '../../native.ts';
import { type RecordBatch, recordSize } from './record-ring.ts';

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
  /**
   * Records that the ring holds: a power of two from 2 to 2^20. Default 4096. All of them lie in one ArrayBuffer: at most
   * 4 GiB in Node.js 20.
   */
  capacity?: number;
  /** How many bytes of kvm_run's union are kept, 16 to 256; `exit()` sees zeros for the rest. Default 256. */
  unionBytes?: number;
  /** Room for the data of a KVM_EXIT_IO in bytes, 0 to 4096. Default 16. */
  ioBytes?: number;
}

/** What it takes, as an option of `start()`. */
export const recordOptions = shape<RecordOptions>('a record takes', {
  // A name is looked up in the profile of the run.
  exits: listOf((_, value) => value as ExitName | number),
  onRecords: func(),
  capacity: optional(integer(2, 1 << 20)),
  unionBytes: optional(integer(16, RUN_UNION_SIZE)),
  ioBytes: optional(integer(0, 4096)),
});

/** What the addon is told. Throws ArgumentError. */
export function recordPlan(options: RecordOptions, profile: DsmProfile, rip: boolean): NativeRecordPlan {
  const { exits, capacity = 4096, unionBytes = RUN_UNION_SIZE, ioBytes = 16 } = options;
  if ((capacity & (capacity - 1)) !== 0)
    throw new ArgumentError('record.capacity', `capacity ${capacity} is not a power of two`, 'Use 1024, 4096, ...');
  const bytes = capacity * recordSize({ unionBytes, ioBytes });
  if (bytes > constants.MAX_LENGTH)
    throw new ArgumentError(
      'record.capacity',
      `capacity ${capacity} makes a ring of ${bytes} bytes; an ArrayBuffer of Node.js ${process.versions.node} has at most ${constants.MAX_LENGTH}`,
      'Give a smaller capacity, ioBytes or unionBytes.',
    );
  return {
    reasons: exits.map((exit) => reasonOf(exit, profile)),
    capacity,
    unionBytes,
    ioBytes,
    watermark: capacity / 2,
    rip,
  };
}

function reasonOf(exit: ExitName | number, profile: DsmProfile): number {
  const known: Record<string, number | undefined> = exitReasons;
  const dsm = profile.exits;
  const named = typeof exit === 'string' && (Object.hasOwn(dsm, exit) || Object.hasOwn(known, exit));
  const reason = typeof exit === 'number' ? exit : named ? (dsm[exit]?.reason ?? known[exit]) : undefined;
  if (reason === undefined)
    throw new ArgumentError(
      'record.exits',
      `${show(exit)} is not the name of an exit with a number`,
      suggest(String(exit), [...Object.keys(dsm), ...Object.keys(known)], 'Give its number.'),
    );
  checkInteger('record.exits', reason, 0, 255);
  if (!goesOnByItself(reason, profile))
    throw new ArgumentError(
      'record.exits',
      `${exit} cannot be recorded: the guest does not go on by itself after it`,
      'Leave it out: it comes to onExit or the iterator.',
    );
  return reason;
}
