/** lcov's form of it, for genhtml and for whatever else reads that. The count of a line is that of the checks which ran it. */
import { spawnSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram, programEnvironment } from '../../host/programs.ts';
import type { CoverageRecord } from './record.ts';

/** How long genhtml may take, in ms. */
const GENHTML = 120_000;

/**
 * Source: geninfo(1), FILES.
 *
 * @param sources the folder that the files' names are relative to; what it has not is left out
 */
export function tracefileOf(record: CoverageRecord, sources: string): string {
  let text = 'TN:kvm_dsm\n';
  for (const file of record.files) {
    const path = join(sources, file);
    if (!existsSync(path)) continue;
    const { functions, checks } = record.coverageOf(file);
    text += `SF:${path}\n`;
    const named = [...functions].filter(([name]) => name !== '');
    const entered = named.map(([name, { line, code }]) => {
      const most = Math.max(0, ...code.map((at) => checks.get(at) ?? 0));
      return { name, line, most };
    });
    for (const { name, line } of entered) text += `FN:${line},${name}\n`;
    for (const { name, most } of entered) text += `FNDA:${most},${name}\n`;
    text += `FNF:${entered.length}\nFNH:${entered.filter(({ most }) => most > 0).length}\n`;
    const lines = [...checks].sort(([a], [b]) => a - b);
    for (const [line, count] of lines) text += `DA:${line},${count}\n`;
    text += `LF:${lines.length}\nLH:${lines.filter(([, count]) => count > 0).length}\nend_of_record\n`;
  }
  return text;
}

/** Makes pages of a tracefile. Returns what is wrong, in words, or null. */
export function writePages(tracefile: string, folder: string): string | null {
  if (!findProgram('genhtml')) return 'genhtml is not installed (package lcov)';
  rmSync(folder, { recursive: true, force: true });
  const args = ['--quiet', '--legend', '--title', 'KVM, by the checks of kvm-dsm', '-o', folder, tracefile];
  const { status, stderr, error } = spawnSync('genhtml', args, {
    encoding: 'utf8',
    env: programEnvironment(),
    timeout: GENHTML,
  });
  if (status === 0) return null;
  return `genhtml: ${error?.message ?? stderr.trim().split('\n').at(-1)}`;
}
