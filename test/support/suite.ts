import assert from 'node:assert/strict';
import { kvmDsm } from './command.ts';

/** The checks that end in every way there is. */
export const checksFile = 'test/cli/scripts/checks.ts';

export interface SuiteDocument {
  version: number;
  on: string;
  kernel: string;
  profile: string;
  checks: {
    id: string;
    claim: string;
    source: string;
    verdict: string;
    reason: string | null;
    ms: number;
    round?: number;
  }[];
  totals: Record<string, number>;
  head: Record<string, unknown>;
  notes: string[];
  interrupted: { why: string; notRun: number } | null;
}

/** Runs checks of a file and gives back the JSON document. */
export function runChecks(
  args: readonly string[],
  seconds = 120,
  file = checksFile,
): { code: number | null; document: SuiteDocument } {
  const { code, stdout, stderr } = kvmDsm(['test', '--checks', file, '--json', ...args], seconds);
  assert.notEqual(stdout, '', stderr);
  return { code, document: JSON.parse(stdout) as SuiteDocument };
}

/** The verdicts by id. */
export function verdictsOf({ checks }: SuiteDocument): Record<string, string> {
  return Object.fromEntries(checks.map(({ id, verdict }) => [id, verdict]));
}

/** Why a check did not pass. */
export function reasonOf({ checks }: SuiteDocument, id: string): string {
  return checks.find((check) => check.id === id)?.reason ?? '';
}
