import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { bundleModule, packageEntry } from '../bundle/module.ts';
import { findScript } from '../script-file.ts';

/** A user's script of checks as one module that this host can import. */
export async function checksModule(script: string): Promise<{ path: string; remove(): void }> {
  const path = findScript(script);
  const directory = mkdtempSync(join(tmpdir(), 'kvm-dsm-'));
  const module = join(directory, `${basename(path)}.mjs`);
  writeFileSync(module, await bundleModule(path, packageEntry));
  return { path: module, remove: () => rmSync(directory, { recursive: true, force: true }) };
}
