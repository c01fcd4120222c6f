/** A machine of the lab that is there: its lines and its end, whoever has started it. */
import type { Duplex } from 'node:stream';
import type { Emulator } from '../lanes/lane.ts';

/** One of its serial lines. */
export interface MachineLine {
  /** Called once, when the emulator has connected. */
  connected: Promise<Duplex>;
  close(): void;
}

/**
 * A machine that runs a command. It was started for that alone, or has run others before: what a run does with it is the
 * same.
 */
export interface LabMachine {
  readonly emulator: Emulator;
  /** The folder with what the emulator itself says. */
  readonly dir: string;
  /** Kernel log and marks; standard output (and input); standard error. */
  readonly lines: readonly [MachineLine, MachineLine, MachineLine];
  /** The emulator's process; undefined if it could not be started. */
  readonly pid: number | undefined;
  /** How it ended, or why it did not start. */
  readonly ended: Promise<string>;
  /** Seconds by its own clock, if it was there before the run; `null`: it boots. */
  readonly uptime: number | null;
  /** Its user space is reached. */
  booted(): void;
  /** The command has ended, and its output has left the machine. */
  finish(): void;
  /** Ends it at once. */
  kill(): void;
}
