/** The kernel's inputs: configuration, patches, files. A checkout has them as they are, a package packed in one file. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { brotliDecompressSync } from 'node:zlib';
import { packageRoot } from '../../base/package.ts';
import { cacheDir } from '../paths.ts';

let dir: string | undefined;

/** The folder that has them: the checkout's, else one in the cache, unpacked when it is first asked for. */
export function kernelInputs(): string {
  if (dir !== undefined && existsSync(dir)) return dir;
  const own = join(packageRoot, 'kernel');
  dir = existsSync(own) ? own : unpackOnce(join(packageRoot, 'dist/kernel.br'));
  return dir;
}

/** Unpacks names and texts, between NULs, into a folder that is named by what it holds, and appears with all of it. */
function unpackOnce(packed: string): string {
  const bytes = readFileSync(packed);
  const key = createHash('sha256').update(bytes).digest('hex').slice(0, 16);
  const inputs = join(cacheDir(), 'kernel-inputs', key);
  if (existsSync(inputs)) return inputs;
  mkdirSync(dirname(inputs), { recursive: true });
  const unpacked = mkdtempSync(`${inputs}-`);
  const words = brotliDecompressSync(bytes).toString().split('\0');
  for (let at = 0; at < words.length; at += 2) {
    const file = join(unpacked, words[at]!);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, words[at + 1]!);
  }
  try {
    renameSync(unpacked, inputs);
  } catch (error) {
    // Another process was first.
    rmSync(unpacked, { recursive: true, force: true });
    if (!existsSync(inputs)) throw error;
  }
  return inputs;
}
