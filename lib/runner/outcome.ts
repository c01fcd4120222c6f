import { KvmDsmError } from '../base/errors.ts';
import { errorToJson, explain } from '../target/fail.ts';
import type { Finding } from './findings.ts';

/** What came of one run of a script; plain data, so that one process can hand it to another. */
export interface RunOutcome {
  exits: number;
  /** How many of them are forwarded ICR writes. */
  forwarded: number;
  seed: number;
  /** True if the script made random choices: then its seed matters. */
  seeded: boolean;
  failure?: RunFailure;
}

/** Why a run failed, in words and for a program, and what the command ends with. */
export interface RunFailure {
  text: string;
  json: Record<string, unknown>;
  exitCode: number;
}

/** The failure that an error is, with what was found out about it. @param before words before the error's own */
export function failureOf(error: unknown, found: readonly Finding[] = [], before = ''): RunFailure {
  const own = error instanceof KvmDsmError ? error.exitCode : 1;
  const exitCode = found.some(({ environment }) => environment) ? 3 : own;
  return { text: before + explain(error), json: errorToJson(error), exitCode };
}
