/** What a series of patches adds to include/uapi/linux/kvm.h, as a header of its own. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const HEADER = 'include/uapi/linux/kvm.h';

/**
 * The lines that the patches of a folder add outside of structs that are there already, in the patches' order: structs and
 * macros of their own. Throws if a patch takes a line out: the lines that are added would not be the header's then.
 */
export function uapiOf(folder: string): string {
  const added = readdirSync(folder)
    .filter((name) => name.endsWith('.patch'))
    .sort()
    .flatMap((name) => linesOf(readFileSync(join(folder, name), 'utf8'), name));
  if (added.length === 0) throw new Error(`the patches of ${folder} add nothing to ${HEADER}`);
  return ['#include <linux/kvm.h>', ...added, ''].join('\n');
}

function linesOf(patch: string, name: string): string[] {
  const [, ...files] = patch.split(/^diff --git /m);
  const hunks = files
    .filter((file) => file.startsWith(`a/${HEADER} `))
    .flatMap((file) => file.split(/^@@.*$/m).slice(1));
  return hunks.flatMap((hunk) => {
    const lines = hunk.split('\n');
    // The mail's signature begins like a line that is taken out.
    const removed = lines.find((line) => line.startsWith('-') && line !== '-- ');
    if (removed !== undefined) throw new Error(`${name} takes a line out of ${HEADER}: ${removed}`);
    // Two tabs: a member of kvm_run's union.
    return lines.filter((line) => line.startsWith('+') && !line.startsWith('+\t\t')).map((line) => line.slice(1));
  });
}
