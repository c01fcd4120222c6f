/** A script's files inside a machine of the lab. */
import { PlainError } from '../base/errors.ts';
import { currentTarget } from '../target/target.ts';

/** The folder that stands for / in a lab machine: a script and the files beside it have their paths of the host below it. */
export const LAB_FILES = '/run/kvm-dsm/files';

/** A script in the lab reads or imports a file that is not there. */
export class ScriptAssetError extends PlainError {
  readonly code = 'ERR_SCRIPT_ASSET';
}

/** The error, or a better one if a script in the lab looked for a file that was left on the host. */
export function explainMissingFile(error: unknown): unknown {
  if (currentTarget.on === 'host' || !(error instanceof Error)) return error;
  const { code } = error as NodeJS.ErrnoException;
  const path = new RegExp(`${LAB_FILES}(/[^'"\\s]*)`).exec(error.message)?.[1];
  if ((code !== 'ENOENT' && !code?.endsWith('MODULE_NOT_FOUND')) || path === undefined) return error;
  const places = error.stack?.split('\n').filter((line) => /^ +at (?!.*\bnode:)/.test(line)) ?? [];
  return new ScriptAssetError([`The lab does not have ${path}`, ...places.slice(0, 3)].join('\n'), {
    cause: error,
    advice: `What a script imports by a fixed name goes with it into the lab, and so does a file beside it that it names as new URL('./name', ${'import.meta.url'}).`,
  });
}
