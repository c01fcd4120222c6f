/** Parameters of kernel modules that are switched on for a while. */
import { readFileSync, writeFileSync } from 'node:fs';
import { UnsupportedError } from '../base/errors.ts';

/** Whether a parameter of a kernel module, a bool, is on. Throws what reading the file does. */
export function isParameterOn(path: string): boolean {
  return readFileSync(path, 'ascii').trim() === 'Y';
}

/**
 * Switches such parameters on; the disposable puts them back.
 *
 * @param parameters files of /sys/module, and what each makes possible
 * @throws UnsupportedError if one is missing or may not be written; those before it are put back
 */
export function switchOn(parameters: readonly { path: string; name: string; what: string }[]): Disposable {
  const before: [string, boolean][] = [];
  const restore = () => {
    for (const [path, on] of before.splice(0).reverse()) writeFileSync(path, on ? 'Y' : 'N');
  };
  for (const { path, name, what } of parameters) {
    try {
      const on = isParameterOn(path);
      writeFileSync(path, 'Y');
      before.push([path, on]);
    } catch (error) {
      restore();
      const denied = (error as NodeJS.ErrnoException).code !== 'ENOENT';
      throw new UnsupportedError(denied ? `write access to ${path}` : name, what);
    }
  }
  return { [Symbol.dispose]: restore };
}
