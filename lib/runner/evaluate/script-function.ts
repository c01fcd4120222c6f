/** A bundled script as a function that can be called for each run. */
import { createRequire } from 'node:module';
import { constants, Script } from 'node:vm';
import { nameScriptPlaces } from './script-stack.ts';

/** What the function that a script becomes calls this package's public modules, by what stands in an `import`. */
export const MODULES = '__kvmDsm';

type Evaluate = (require: NodeJS.Require, modules: Record<string, object>) => Promise<void>;

/**
 * A bundled script as a function: each call evaluates the script and all its modules afresh, and leaves nothing in
 * node's table of modules, so that a thousand calls cost the memory of one.
 */
export class ScriptFunction {
  readonly #path: string;
  readonly #evaluate: Evaluate;

  /** @param path the script's own path, for `import()` of what is known at run time only */
  constructor(code: string, path: string) {
    // No file has this name: a place in it, where one is shown, is not taken for the script's.
    const filename = `${path}.bundled`;
    nameScriptPlaces(filename, code);
    this.#path = path;
    this.#evaluate = new Script(`(async (require, ${MODULES}) => { 'use strict';\n${code}\n})`, {
      filename,
      lineOffset: -1,
      importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
    }).runInThisContext() as Evaluate;
  }

  /** Runs the script. @param modules what it imports of this package */
  run(modules: Record<string, object>): Promise<void> {
    const script = this.#evaluate;
    return script(createRequire(this.#path), modules);
  }
}
