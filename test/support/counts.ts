/**
 * What part of the heavy tests' counts is done, from 0 to 1: KVM_DSM_TEST_COUNTS, default all. For emulators, where
 * 1,000,000 exits take minutes. A test that uses it has its counts in its name.
 */
const part = Number(process.env.KVM_DSM_TEST_COUNTS ?? 1);
if (!(part > 0 && part <= 1)) throw new Error(`KVM_DSM_TEST_COUNTS is ${process.env.KVM_DSM_TEST_COUNTS}, not in 0..1`);

/** `count`, or the part of it that is asked for; never less than `least`. */
export function scaled(count: number, least = 1): number {
  return Math.min(count, Math.max(least, Math.round(count * part)));
}
