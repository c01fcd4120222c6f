/** The initial RAM disk of one run. */
import { randomBytes } from 'node:crypto';
import { shellWord } from '../../base/shell.ts';
import { LabEmulatorError } from '../errors.ts';
import { readBusybox } from '../needs/busybox.ts';
import { type CpioEntry, cpioDirectory, cpioFile, cpioLink, packCpio } from './cpio.ts';
import {
  argumentsPath,
  commandPath,
  environmentPath,
  initScript,
  mainInside,
  nodeInside,
  packageInside,
  secretsPath,
  servePath,
} from './init.ts';
import type { InsideFile } from './inside-file.ts';

/** What a machine runs. */
export interface InsideCommand {
  argv: readonly string[];
  env: Readonly<Record<string, string>>;
  files: readonly InsideFile[];
  /** What the command reads: nothing, what the host sends, or a terminal of that size; the second line brings both. */
  input: 'none' | 'pipe' | { rows: number; columns: number };
}

/** What a machine begins with. */
export interface InitramfsParts {
  /** Links that have to exist, from path to target. */
  links: readonly { path: string; target: string }[];
  /** Of init's words. */
  secrets: string;
  /** What it runs; if it is to run one command after the other, the disk that brings their files, and the
   * environment of this package's own. */
  command: InsideCommand | { serve: string; env: Readonly<Record<string, string>> };
}

/** The initramfs of one machine: busybox and init, and what this machine is for. */
export function makeInitramfs({ links, secrets, command }: InitramfsParts): Buffer {
  const entries: CpioEntry[] = [
    ...['dev', 'proc', 'sys', 'tmp', 'media', 'root', 'run', 'etc'].map(cpioDirectory),
    cpioFile('bin/busybox', busybox(), true),
    cpioLink('bin/sh', 'busybox'),
    cpioFile('init', initScript, true),
    cpioLink('bin/node', nodeInside),
    cpioFile('bin/kvm-dsm', `#!/bin/sh\nexec ${nodeInside} ${mainInside} "$@"\n`, true),
    // A script below /run finds the package as it would beside an installed one.
    cpioLink('run/node_modules/kvm-dsm', packageInside),
    cpioFile('etc/passwd', 'root:x:0:0:root:/root:/bin/sh\n'),
    cpioFile('etc/hosts', '127.0.0.1 localhost\n'),
    cpioFile(secretsPath, secrets),
    ...links.map(({ path, target }) => cpioLink(relative(path), target)),
  ];
  if ('serve' in command) {
    entries.push(cpioFile(servePath, `${command.serve}\n`), cpioFile(environmentPath, exports(command.env)));
  } else entries.push(...commandFiles(command));
  // Not compressed: an emulated CPU takes longer to unpack it than an emulated disk to read the rest.
  return packCpio(entries);
}

/** True for this package's commands: a process that waits inside, and has loaded the package, becomes one. */
export const isOwnCommand = ({ argv }: InsideCommand): boolean => argv[0] === nodeInside && argv[1] === mainInside;

/** What a command takes that a machine unpacks while it runs. */
export function makeJob(command: InsideCommand): Buffer {
  const { argv, env } = command;
  const waiting = isOwnCommand(command)
    ? [cpioFile(argumentsPath, JSON.stringify({ argv: argv.slice(2), env, seed: randomBytes(32).toString('hex') }))]
    : [];
  return packCpio([...commandFiles(command), ...waiting]);
}

function commandFiles(command: InsideCommand): CpioEntry[] {
  const entries = [
    cpioFile(commandPath, shellScript(command)),
    ...command.files.map(({ path, data, executable }) => cpioFile(relative(path), data, executable)),
  ];
  if (command.input === 'pipe') entries.push(cpioFile('lab/input', ''));
  else if (command.input !== 'none') {
    entries.push(cpioFile('lab/terminal', `rows ${command.input.rows} cols ${command.input.columns}`));
  }
  return entries;
}

function busybox(): Buffer {
  const image = readBusybox();
  if (image) return image;
  throw new LabEmulatorError('there is no statically linked busybox here', {
    advice: "Install the package that has it (Debian's busybox-static; `kvm-dsm lab build` does).",
  });
}

function relative(path: string): string {
  return path.replace(/^\/+/, '');
}

function exports(env: Readonly<Record<string, string>>): string {
  return Object.entries(env)
    .map(([name, value]) => `export ${name}=${shellWord(value)}\n`)
    .join('');
}

function shellScript({ argv, env }: InsideCommand): string {
  return `${exports(env)}exec ${argv.map(shellWord).join(' ')}\n`;
}
