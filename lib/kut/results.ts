/** What an image prints, as results. Source: kvm-unit-tests, lib/report.c. */

export type KutVerdict = 'pass' | 'fail' | 'skip' | 'xfail' | 'xpass';

export interface KutResult {
  name: string;
  verdict: KutVerdict;
}

const words: Record<string, KutVerdict> = {
  PASS: 'pass',
  FAIL: 'fail',
  SKIP: 'skip',
  XFAIL: 'xfail',
  XPASS: 'xpass',
  // A failure, or the lack of one, that depends on the host's kernel.
  KFAIL: 'xfail',
  KPASS: 'pass',
};

/** A line that is a result; `null`: it is something else. */
export function resultIn(line: string): KutResult | null {
  const [, word, name] = /^([A-Z]+): (.*)$/.exec(line) ?? [];
  const verdict = words[word ?? ''];
  return verdict && name ? { name, verdict } : null;
}

/** What report_summary() ends with. QEMU's exit code is twice that and 1: for run_tests.sh a skip is 77. */
const SUCCESS = 0;
const SKIPPED = 77 >> 1;

/** What a run came to: the code decides, as it does for run_tests.sh. `null`: the guest did not come to its end. */
export function verdictOf(code: number | null): 'pass' | 'fail' | 'skip' {
  if (code === SUCCESS) return 'pass';
  return code === SKIPPED ? 'skip' : 'fail';
}

export const exitCodes = { pass: 0, fail: 1, skip: 4 } as const;
