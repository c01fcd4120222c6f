// How long the command and the kit take to be there, beside an empty module that loads one addon.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compare } from '../stats.ts';
import type { Figure } from './figure.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

export function start(runs: number): Figure[] {
  const addon: string = createRequire(import.meta.url)('node-gyp-build').resolve(root);
  const folder = mkdtempSync(join(tmpdir(), 'kvm-dsm-bench-'));
  try {
    const write = (name: string, text: string) => {
      const path = join(folder, name);
      writeFileSync(path, text);
      return path;
    };
    const empty = write(
      'empty.mjs',
      `import { createRequire } from 'node:module'; createRequire(import.meta.url)(${JSON.stringify(addon)});`,
    );
    const kit = write('kit.mjs', `import ${JSON.stringify(join(root, 'dist/index.js'))};`);
    const commands = {
      empty: [empty],
      kit: [kit],
      help: [join(root, 'dist/cli/main.js'), '--help'],
    };
    const taken = { empty: [] as number[], kit: [] as number[], help: [] as number[] };
    for (let run = -1; run < runs; run++)
      for (const name of ['empty', 'kit', 'help'] as const) {
        const ms = milliseconds(commands[name]);
        if (run >= 0) taken[name].push(ms);
      }
    const imported = compare(taken.kit, taken.empty);
    const help = compare(taken.help, taken.empty);
    return [
      { name: 'start', what: 'node with an empty module and one addon', value: imported.reference, unit: 'ms' },
      { name: 'start', what: 'import of kvm-dsm', value: imported.ours, unit: 'ms' },
      { name: 'start', what: 'import of kvm-dsm, of the empty module', value: imported.ratio, unit: 'times', aim: 1.5 },
      { name: 'start', what: 'kvm-dsm --help', value: help.ours, unit: 'ms', aim: 120 },
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function milliseconds(args: readonly string[]): number {
  const began = performance.now();
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  const took = performance.now() - began;
  if (status !== 0) throw new Error(`node ${args.join(' ')} ended with ${status}:\n${stderr}`);
  return took;
}
