import { KvmDsmError } from '../errors.ts';
import { print } from './output.ts';
import { paint } from './paint.ts';

/** Says what went wrong and what to do, and returns what the command ends with. */
export function reportError(error: unknown, json: boolean): number {
  const exitCode = error instanceof KvmDsmError ? error.exitCode : 1;
  if (json) {
    print(`${JSON.stringify({ type: 'error', ...errorToJson(error) })}\n`);
    return exitCode;
  }
  process.stderr.write(`${paint('red', 'error')}: ${explain(error)}\n`);
  return exitCode;
}

/** An error's stable code, its message and advice, and the report that some carry. */
export function errorToJson(error: unknown): Record<string, unknown> {
  if (!(error instanceof KvmDsmError)) return { code: 'ERR_SCRIPT', message: String(stackOf(error)) };
  const { code, message, advice } = error;
  return { code, message, advice, ...(reportOf(error) ? { report: reportOf(error) } : {}) };
}

/** The same for a person: the cause first. An error that is not ours keeps its stack: it is the script's. */
export function explain(error: unknown): string {
  if (!(error instanceof KvmDsmError)) return stackOf(error);
  const report = reportOf(error);
  return [
    `${error.message} [${error.code}]`,
    ...(report ? [report] : []),
    `  ${paint('cyan', '->')} ${error.advice}`,
  ].join('\n');
}

function reportOf(error: KvmDsmError): string {
  return 'report' in error && typeof error.report === 'string' ? error.report : '';
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : `the script threw ${String(error)}`;
}
