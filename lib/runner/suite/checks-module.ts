import { rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { temporary, temporaryFolder } from '../../base/temporary.ts';
import { bundleModule, packageEntry } from '../bundle/module.ts';
import { findScript } from '../script-file.ts';

/** A user's script of checks as one module that this host can import. */
export async function checksModule(script: string): Promise<{ path: string; remove(): void }> {
  const path = findScript(script);
  const code = await bundleModule(path, packageEntry);
  const directory = temporaryFolder();
  const remove = () => rmSync(directory, { recursive: true, force: true });
  const module = join(directory, `${basename(path)}.mjs`);
  try {
    temporary(() => writeFileSync(module, code));
  } catch (error) {
    remove();
    throw error;
  }
  return { path: module, remove };
}
