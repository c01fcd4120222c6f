/** What is looked at in a tree that has the series, while it is there: checkpatch.pl, headers_install, layouts. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findProgram } from '../../host/programs.ts';
import { runBound } from '../../lab/process.ts';
import type { Series } from '../series/series.ts';
import { textAt } from '../tree/build.ts';
import { type HeaderLayouts, headerLayouts } from './layouts.ts';

/** What checkpatch.pl says of one patch. */
export interface StyleReport {
  patch: string;
  errors: number;
  warnings: number;
  checks: number;
  /** `ERROR:TYPE: words`, at most five. */
  lines: string[];
}

/** What was seen in a tree. */
export interface TreeLook {
  /** null where perl or the script is missing. */
  style: StyleReport[] | null;
  /** What `make headers_install` said; null if it worked. */
  headersInstall: string | null;
  layouts: HeaderLayouts;
  /** The rules of Documentation/virt/kvm/review-checklist.rst by their numbers; empty where the file is missing. */
  rules: Record<string, string>;
  /** Documentation/virt/kvm/api.rst. */
  api: string;
  kvmHeader: string;
}

const header = 'include/uapi/linux/kvm.h';

/** Looks at a tree; without a series, at what there was before. */
export async function lookAtTree(tree: string, series: Series | null, symbols: readonly string[]): Promise<TreeLook> {
  return {
    style: series && (await styleOf(tree, series)),
    headersInstall: await installHeaders(tree),
    layouts: await headerLayouts(tree, 'linux/kvm.h', symbols),
    rules: readRules(textAt(join(tree, 'Documentation/virt/kvm/review-checklist.rst'))),
    api: textAt(join(tree, 'Documentation/virt/kvm/api.rst')),
    kvmHeader: textAt(join(tree, header)),
  };
}

/** Makes the headers that others include and no tree has from the start. One that cannot make them is told by who needs them. */
export async function prepareHeaders(tree: string, abort: AbortSignal | undefined): Promise<void> {
  await runBound('make', ['-C', tree, 'ARCH=x86', 'headers'], { abort, env: { ...process.env, LC_ALL: 'C' } });
}

async function styleOf(tree: string, { patches, isCompared }: Series): Promise<StyleReport[] | null> {
  if (!findProgram('perl') || !existsSync(join(tree, 'scripts/checkpatch.pl'))) return null;
  const work = mkdtempSync(join(tmpdir(), 'kvm-dsm-style-'));
  try {
    const reports: StyleReport[] = [];
    for (const [index, patch] of patches.entries()) {
      const file = join(work, `${index + 1}.patch`);
      writeFileSync(file, patch.text);
      // MAINTAINERS names KVM's folders, and not its files: a new one there needs no line.
      const ignored = ['--ignore', isCompared ? 'FILE_PATH_CHANGES,COMMIT_MESSAGE' : 'FILE_PATH_CHANGES'];
      if (isCompared) ignored.push('--no-signoff');
      const args = ['scripts/checkpatch.pl', '--strict', '--terse', '--show-types', '--no-tree', ...ignored, file];
      const { output } = await runBound('perl', args, { cwd: tree });
      reports.push(readStyle(patch.title, output));
    }
    return reports;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Reads the lines of `checkpatch.pl --terse --show-types`. */
export function readStyle(patch: string, output: string): StyleReport {
  const lines = output.split('\n').flatMap((line) => /:\d+: ((?:ERROR|WARNING|CHECK):.*)$/.exec(line)?.[1] ?? []);
  const count = (kind: string) => lines.filter((line) => line.startsWith(kind)).length;
  return {
    patch,
    errors: count('ERROR'),
    warnings: count('WARNING'),
    checks: count('CHECK'),
    lines: lines.slice(0, 5),
  };
}

/** Only the header's own step: all of them take a minute, and the script is what looks for Kconfig symbols. */
async function installHeaders(tree: string): Promise<string | null> {
  const script = join(tree, 'scripts/headers_install.sh');
  if (!existsSync(script) || !existsSync(join(tree, 'scripts/unifdef'))) return null;
  const work = mkdtempSync(join(tmpdir(), 'kvm-dsm-headers-'));
  try {
    const { code, output } = await runBound('sh', ['scripts/headers_install.sh', header, join(work, 'kvm.h')], {
      cwd: tree,
    });
    return code === 0 ? null : output.trim();
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** The checklist's rules as the tree has them, by number. */
export function readRules(text: string): Record<string, string> {
  const found = [...text.matchAll(/^(\d+)\.\s+([\s\S]*?)(?=^\d+\.\s|(?![\s\S]))/gm)];
  return Object.fromEntries(found.map(([, number, words]) => [number!, words!.replace(/\s+/g, ' ').trim()]));
}
