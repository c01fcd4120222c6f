/** The error of a script's file. */
import { existsSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { KvmDsmError } from '../base/errors.ts';

/** The script cannot be run: there is no such file, it does not compile, or it brings too much along. */
export class ScriptFileError extends KvmDsmError {
  readonly code: 'ERR_SCRIPT_MISSING' | 'ERR_SCRIPT_SYNTAX' | 'ERR_SCRIPT_SIZE';
  override readonly exitCode = 2;

  constructor(code: ScriptFileError['code'], message: string, advice: string) {
    super(message, { advice });
    this.code = code;
  }
}

/** Throws `ScriptFileError` unless there is a file of that name. Returns its absolute path. */
export function findScript(script: string): string {
  const path = resolve(script);
  if (existsSync(path) && statSync(path).isFile()) return path;
  throw new ScriptFileError(
    'ERR_SCRIPT_MISSING',
    `There is no script ${script}`,
    'Give the path of a .ts or .js file.',
  );
}
