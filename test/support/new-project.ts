/** A project that `kvm-dsm init` has made, with this checkout as its package. */
import { mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CommandResult, kvmDsm, root, runProgram } from './command.ts';

export interface NewProject {
  readonly folder: string;
  readonly made: CommandResult;
  npm(args: readonly string[], seconds: number): CommandResult;
  /** A command of a shell, in the project's folder. */
  sh(command: string, seconds: number): CommandResult;
}

export function newProject(name = 'My tests'): NewProject {
  const folder = join(mkdtempSync(join(tmpdir(), 'kvm-dsm-init-')), name);
  const made = kvmDsm(['init', folder]);
  // As npm install leaves them.
  const modules = join(folder, 'node_modules');
  mkdirSync(join(modules, '.bin'), { recursive: true });
  symlinkSync(root, join(modules, 'kvm-dsm'));
  for (const name of ['typescript', '@types']) symlinkSync(join(root, 'node_modules', name), join(modules, name));
  const command = `#!/bin/sh\nexec '${process.execPath}' '${join(root, 'dist/cli/main.js')}' "$@"\n`;
  writeFileSync(join(modules, '.bin/kvm-dsm'), command, { mode: 0o755 });
  return {
    folder,
    made,
    npm: (args, seconds) => runProgram('npm', args, seconds, folder),
    sh: (command, seconds) => runProgram('sh', ['-c', command], seconds, folder),
  };
}
