/**
 * How much of the heavy tests' counts is done: KVM_DSM_TEST_COUNTS, more than 0 and at most 100, default 1. Less for
 * emulators, where 1,000,000 exits take minutes; more to soak. A test that uses it has its counts in its name.
 */
const part = numberOf('KVM_DSM_TEST_COUNTS', 100);

/** How many times as long as usual a heavy test may take: KVM_DSM_TEST_PATIENCE, at most 1000, default 1. */
const patience = numberOf('KVM_DSM_TEST_PATIENCE', 1000);

/** `count`, or so much of it as is asked for; never less than `least`, unless that is all. */
export function scaled(count: number, least = 1): number {
  return Math.max(Math.min(count, least), Math.round(count * part));
}

/** A time limit of a heavy test, in ms. */
export function patient(ms: number): number {
  return ms * patience;
}

function numberOf(name: string, most: number): number {
  const value = Number(process.env[name] ?? 1);
  if (!(value > 0 && value <= most)) throw new Error(`${name} is ${process.env[name]}, not in 0..${most}`);
  return value;
}
