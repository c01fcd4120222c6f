/** A project that `kvm-dsm init` has made, with this checkout as its package. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CommandResult, kvmDsm, root } from './command.ts';

export interface NewProject {
  readonly folder: string;
  readonly made: CommandResult;
  npm(args: readonly string[], seconds: number): CommandResult;
}

export function newProject(): NewProject {
  const folder = join(mkdtempSync(join(tmpdir(), 'kvm-dsm-init-')), 'My tests');
  const made = kvmDsm(['init', folder]);
  // As npm install leaves them.
  const modules = join(folder, 'node_modules');
  mkdirSync(join(modules, '.bin'), { recursive: true });
  symlinkSync(root, join(modules, 'kvm-dsm'));
  for (const name of ['typescript', '@types']) symlinkSync(join(root, 'node_modules', name), join(modules, name));
  const command = `#!/bin/sh\nexec '${process.execPath}' '${join(root, 'dist/cli/main.js')}' "$@"\n`;
  writeFileSync(join(modules, '.bin/kvm-dsm'), command, { mode: 0o755 });
  const npm = (args: readonly string[], seconds: number): CommandResult => {
    const env = { ...process.env, NODE_OPTIONS: '', NODE_TEST_CONTEXT: undefined };
    const options = { cwd: folder, env, encoding: 'utf8', timeout: seconds * 1000 } as const;
    const { status, stdout, stderr } = spawnSync('npm', args, options);
    return { code: status, stdout, stderr };
  };
  return { folder, made, npm };
}
