/** The configuration of the running kernel. */
import { readFileSync, statSync } from 'node:fs';
import { release } from 'node:os';
import { gunzipSync } from 'node:zlib';

/** What the running kernel was built with; `null` where that cannot be read. */
export function readKernelConfig(): { source: string; text: string } | null {
  const source = ['/proc/config.gz', `/boot/config-${release()}`].find(isFile);
  if (!source) return null;
  const raw = readFileSync(source);
  return { source, text: source.endsWith('.gz') ? gunzipSync(raw).toString() : raw.toString() };
}

function isFile(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
