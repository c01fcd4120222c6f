/** Whether a machine that is up is the one that a command would boot. */

/** All that makes a machine what it is, each as a text that differs if it differs. */
export interface Fit {
  kernel: string;
  cmdline: string;
  emulator: string;
  /** Node.js, this package and the machine's init. */
  package: string;
}

const words: Record<keyof Fit, string> = {
  kernel: 'another kernel',
  cmdline: 'another kernel command line',
  emulator: 'another emulator',
  package: 'another state of this package or of Node.js',
};

/** In what the machine that is up differs from what is wanted. */
export function misfits(up: Fit, wanted: Fit): (keyof Fit)[] {
  return (Object.keys(words) as (keyof Fit)[]).filter((name) => up[name] !== wanted[name]);
}

export const describeMisfits = (names: readonly (keyof Fit)[]): string => names.map((name) => words[name]).join(', ');

/** True for what came as JSON and has its form. */
export function isFit(value: unknown): value is Fit {
  if (typeof value !== 'object' || value === null) return false;
  const given = value as Record<string, unknown>;
  return Object.keys(words).every((name) => typeof given[name] === 'string');
}
