/** What a run is started with, and what it says of itself. */
import type { DsmProfile } from '../../../abi/dsm/profiles.ts';
import type { Duration } from '../../../base/duration.ts';
import type { Exit } from '../../../exit/exit.ts';
import type { RecordOptions } from './records.ts';

/** `Run`: what the handler is handed, a run of the vCPU. */
export interface StartOptionsOf<Run> {
  /**
   * Gets each exit, in order. The vCPU stays out of the guest until it returns, or until its promise resolves; kvm_run,
   * where an `in` is answered, and the registers are its own meanwhile. What it throws ends the run (see `ended()`).
   * Without it the exits come by `for await`.
   */
  onExit?: (exit: Exit, run: Run) => void | Promise<void>;
  /** Exits that the thread stores by itself, for those that need no answer and come often. */
  record?: RecordOptions;
  /** How long `for await` waits for one exit. Default 10 s. */
  deadline?: Duration;
  /** Whose exits 44..48 are meant; default: as the KVM device was opened with. */
  profile?: DsmProfile;
}

/**
 * - `running`: in the guest, or on its way
 * - `parked`: out of the guest, with an exit that has not been dealt with (or with a full ring)
 * - `paused`: out of the guest until `resume()`
 * - `stopping`: asked to end
 * - `stopped`: its thread has ended; the vCPU may be run or started again from where it is
 * - `failed`: as stopped; `ended()` rejects with the reason
 */
export type VcpuRunState = 'running' | 'parked' | 'paused' | 'stopping' | 'stopped' | 'failed';

/** What has happened since `start()`. */
export interface VcpuCounters {
  /** KVM_RUN calls. */
  entries: number;
  /** Of these, ended by an exit; each is recorded or given to onExit or the iterator. */
  exits: number;
  /** Of the exits, put into the ring. */
  recorded: number;
  /** Times that a kick, a pause or a stop was noticed; several that were asked for at once count once. */
  kicks: number;
  /** EINTR that nobody here had asked for; the guest went on. */
  foreign: number;
  /** EAGAIN: an INIT or SIPI was taken. */
  again: number;
  /** Times that a full ring made the vCPU wait. */
  ringStops: number;
}
