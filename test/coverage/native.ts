/** What gcov says of the addon's sources. */
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { root } from '../support/command.ts';

interface GcovFile {
  file: string;
  lines: { line_number: number; count: number }[];
}

/** Lines of each file of native/ that ran, in percent, and `native` for all of them. */
export function nativeCoverage(build: string): Map<string, { lines: number; branches: null }> {
  const ran = new Map<string, Map<number, boolean>>();
  const objects = readdirSync(build, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.gcda'));
  for (const object of objects) {
    const path = join(build, object);
    const json = execFileSync('gcov', ['--json-format', '--stdout', path], {
      cwd: dirname(path),
      encoding: 'utf8',
      maxBuffer: 1 << 28,
    });
    for (const line of json.split('\n').filter((one) => one !== ''))
      for (const { file, lines } of (JSON.parse(line) as { files: GcovFile[] }).files) {
        const name = relative(root, join(root, file.startsWith('/') ? relative(root, file) : file));
        if (!name.startsWith('native/')) continue;
        const seen = ran.get(name) ?? new Map<number, boolean>();
        ran.set(name, seen);
        // A header's line counts once, whoever includes it.
        for (const { line_number, count } of lines)
          seen.set(line_number, count > 0 || (seen.get(line_number) ?? false));
      }
  }
  const percent = (flags: readonly boolean[]) => (100 * flags.filter(Boolean).length) / flags.length;
  const all = [...ran].map(([name, lines]) => [name, { lines: percent([...lines.values()]), branches: null }] as const);
  const total = { lines: percent([...ran.values()].flatMap((lines) => [...lines.values()])), branches: null };
  return new Map([...all, ['native', total]]);
}
