/** Files of /proc, /sys and /etc that may be missing. */
import { readFileSync } from 'node:fs';

/** What the file holds, without spaces around it; `null` if it is not there or may not be read. */
export function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return null;
  }
}
