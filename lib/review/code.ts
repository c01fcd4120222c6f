/** Names of parts of this package's code: what they found out before is believed while they are the same. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../base/package.ts';
import { listFiles } from '../lab/kernel/key.ts';
import { runsFromSource } from '../lab/paths.ts';

/** The suite, and all that runs it. */
export const suiteKey = (): string => keyOfCode((file) => !/^(review|cli|faces)\//.test(file));

/** What looks at trees. */
export const lookKey = (): string => keyOfCode((file) => file.startsWith('review/look/'));

function keyOfCode(counts: (file: string) => boolean): string {
  const hash = createHash('sha256');
  const code = join(packageRoot, runsFromSource ? 'lib' : 'dist');
  for (const file of listFiles(code)) {
    if (/\.(map|d\.c?ts)$/.test(file) || !counts(file)) continue;
    const text = readFileSync(join(code, file));
    hash.update(`${file} ${text.length}\n`).update(text);
  }
  return hash.digest('hex').slice(0, 16);
}
