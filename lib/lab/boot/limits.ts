/** The limits of a run. */

/**
 * How long a machine may take. An emulator that other work keeps from the CPU is not stuck: the CPU time that it used
 * counts, and for one that sleeps the time that has passed.
 */
export interface Limits {
  /** Until user space is reached. */
  bootCpuSeconds: number;
  bootSeconds: number;
  /** Without a sign of life. */
  silentCpuSeconds: number;
  silentSeconds: number;
  /** After the command's own limit: it has its own way of ending, which is the better one. */
  graceSeconds: number;
  /** From an oops to the command's end. */
  oopsSeconds: number;
  /** From the command's end to the machine's. */
  shutdownSeconds: number;
}

/** What fits a machine with other work to do. */
export const defaultLimits: Limits = {
  bootCpuSeconds: 60,
  bootSeconds: 180,
  silentCpuSeconds: 30,
  silentSeconds: 120,
  graceSeconds: 30,
  oopsSeconds: 15,
  shutdownSeconds: 60,
};

/** What a command without a limit of its own may take. */
export const defaultTimeoutSeconds = 3600;

/** An emulated second may take that many real ones on a busy machine. */
export const slowdown = 6;
