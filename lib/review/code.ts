/** Names of parts of this package's code: what they found out before is believed while they are the same. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { codeDir, runsFromSource } from '../base/package.ts';
import { listFiles } from '../lab/kernel/key.ts';

/** The suite, and all that runs it. */
export const suiteKey = (): string => keyOfCode((file) => !/^(review|chunks\/review|cli|faces)\b/.test(file));

/** What looks at trees; in a built package, that and all else of a review. */
export const lookKey = (): string =>
  keyOfCode((file) => file.startsWith(runsFromSource ? 'review/look/' : 'chunks/review.'));

function keyOfCode(counts: (file: string) => boolean): string {
  const hash = createHash('sha256');
  for (const file of listFiles(codeDir)) {
    if (/\.(map|d\.c?ts)$/.test(file) || !counts(file)) continue;
    const text = readFileSync(join(codeDir, file));
    hash.update(`${file} ${text.length}\n`).update(text);
  }
  return hash.digest('hex').slice(0, 16);
}
