/** The limits of a run. */

/**
 * How long a machine may take. An emulator that other work keeps from the CPU is not stuck: the CPU time that it used
 * counts, and for one that sleeps the time that has passed.
 */
export interface Limits {
  /** CPU time until user space is reached. Default 60. */
  bootCpuSeconds: number;
  /** The same by the clock. Default 180. */
  bootSeconds: number;
  /** CPU time without a sign of life. Default 30. */
  silentCpuSeconds: number;
  /** The same by the clock. Default 120. */
  silentSeconds: number;
  /** After the command's own limit: it has its own way of ending, which is the better one. Default 30. */
  graceSeconds: number;
  /** From an oops to the command's end. Default 15. */
  oopsSeconds: number;
  /** From the command's end to the machine's. Default 60. */
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
