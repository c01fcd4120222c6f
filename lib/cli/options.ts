import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Lane } from '../lab/index.ts';

/** Where a command runs: on this host, in a lab machine, or where the ICR writes are forwarded. */
export type On = 'auto' | 'host' | Lane;

/** The options that every subcommand takes. */
export interface GlobalOptions {
  on: On;
  json: boolean;
  profile: string;
  kernel?: string;
  cmdline?: string;
  emulator?: string;
  device: string;
  /** Seconds. */
  timeout: number;
}

/** Seconds that a command may take if `--timeout` does not say otherwise. */
const DEFAULT_TIMEOUT = 60;

/** Adds the global options to a subcommand: they may stand before and behind its name. */
export function withGlobalOptions(command: Command, timeout = DEFAULT_TIMEOUT): Command {
  for (const option of globalOptions(timeout)) command.addOption(option);
  return command;
}

/** The same options on the program itself, without defaults: a subcommand's own win. */
export function withLeadingOptions(program: Command): Command {
  for (const option of globalOptions(DEFAULT_TIMEOUT)) program.addOption(option.hideHelp().default(undefined));
  return program;
}

/** The values that were given anywhere on the line, and the defaults of the others. */
export function globalOptionsOf(command: Command): GlobalOptions {
  const values: Record<string, unknown> = {};
  for (let level: Command | null = command; level; level = level.parent) {
    for (const [key, value] of Object.entries(level.opts())) {
      const given = level.getOptionValueSource(key) === 'cli';
      if (values[key] === undefined || (given && command.getOptionValueSource(key) !== 'cli')) values[key] = value;
    }
  }
  return values as unknown as GlobalOptions;
}

function globalOptions(timeout: number): Option[] {
  return [
    new Option('--on <place>', 'where to run').choices(['auto', 'host', 'vmx', 'svm']).default('auto'),
    new Option('--json', 'machine-readable output').default(false),
    new Option('--profile <name>', 'the version of the series whose numbers count').default('rfc-v2'),
    new Option('--kernel <bzImage>', 'lab: boot this kernel'),
    new Option('--cmdline <text>', 'lab: add to the kernel command line'),
    new Option('--emulator <binary>', 'lab: use this Bochs or QEMU'),
    new Option('--device <path>', 'instead of /dev/kvm').default('/dev/kvm'),
    new Option('--timeout <s>', 'seconds that the command may take').default(timeout).argParser(seconds),
  ];
}

function seconds(text: string): number {
  const value = Number(text);
  if (value > 0 && value <= 86_400) return value;
  throw new InvalidArgumentError('Give seconds, more than 0 and at most 86400.');
}
