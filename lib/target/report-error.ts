/** An error that ends the command, told to a person or as JSON. */
import { inspect } from 'node:util';
import { KvmDsmError } from '../base/errors.ts';
import { jsonText } from '../base/text.ts';
import { print } from './output.ts';
import { paint } from './paint.ts';
import { wipeProgress } from './progress.ts';

/** Says what went wrong and what to do, and returns what the command ends with. */
export function reportError(error: unknown, json: boolean): number {
  const exitCode = error instanceof KvmDsmError ? error.exitCode : 1;
  if (json) {
    print(`${jsonText({ type: 'error', ...errorToJson(error) })}\n`);
    return exitCode;
  }
  wipeProgress();
  process.stderr.write(`${paint('red', 'error')}: ${explain(error)}\n`);
  return exitCode;
}

/** An error's stable code, its message and advice; of a guest's failure its causes, trace, vCPUs and report. */
export function errorToJson(error: unknown): Record<string, unknown> {
  if (!(error instanceof KvmDsmError)) return { code: 'ERR_SCRIPT', message: stackOf(error) };
  const { code, message, advice, failure, report } = error;
  const parts = typeof failure === 'object' ? failure.toJSON() : {};
  return { code, message, advice, ...parts, ...(report ? { report } : {}) };
}

/** The same for a person: the cause first. An error that is not ours keeps its stack: it is the script's. */
export function explain(error: unknown): string {
  if (!(error instanceof KvmDsmError)) return stackOf(error);
  const [cause, ...rest] = error.message.split('\n');
  return [
    `${cause} [${error.code}]`,
    ...rest,
    ...(error.report ? [error.report] : []),
    `  ${paint('cyan', '->')} ${error.advice}`,
  ].join('\n');
}

function inspected(value: unknown): string {
  try {
    return inspect(value);
  } catch {
    return `${typeof value} that cannot be shown`;
  }
}

function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return `the script threw ${inspected(error)}`;
  // What a script throws may have getters that throw themselves.
  try {
    const text = error.stack ?? error.message;
    if (typeof text === 'string' && text !== '') return text;
  } catch {}
  return `the script threw ${inspected(error)}`;
}
