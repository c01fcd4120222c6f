/** What became of one run of a script. */
import { KvmDsmError } from '../base/errors.ts';
import { errorToJson, explain } from '../target/report-error.ts';
import type { Finding } from './findings.ts';
import type { ScriptFailure } from './protocol.ts';

/** The failure that an error is, with what was found out about it. @param before words before the error's own */
export function failureOf(error: unknown, found: readonly Finding[] = [], before = ''): ScriptFailure {
  const own = error instanceof KvmDsmError ? error.exitCode : 1;
  const exitCode = found.some(({ environment }) => environment) ? 3 : own;
  return { text: before + explain(error), json: errorToJson(error), exitCode };
}
