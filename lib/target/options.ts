import { type Command, InvalidArgumentError, Option } from 'commander';
import { isSeed } from '../base/seed.ts';
import { laneNames } from '../lab/lanes/index.ts';
import type { On } from './lanes.ts';

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

/** The options of `run`. */
export interface RunOptions extends GlobalOptions {
  /** How often the script is run. */
  repeat: number;
  /** Of `random` in the first run: an unsigned 32-bit number. Without it a fresh one is chosen. */
  seed?: number;
  /** Run again whenever the script or something that it imports changes. */
  watch: boolean;
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

/** Adds the options that only `run` takes. */
export function withRunOptions(command: Command): Command {
  return command
    .addOption(new Option('--repeat <n>', 'run it n times, up to the first failure').default(1).argParser(repeats))
    .addOption(new Option('--seed <s>', "seed of the script's random choices").argParser(seedNumber))
    .addOption(new Option('--watch', 'run again when the script or what it imports changes').default(false));
}

/** The values that were given anywhere on the line, and the defaults of the others. */
export function globalOptionsOf<T extends GlobalOptions = GlobalOptions>(command: Command): T {
  const values: Record<string, unknown> = {};
  for (let level: Command | null = command; level; level = level.parent) {
    for (const [key, value] of Object.entries(level.opts())) {
      const given = level.getOptionValueSource(key) === 'cli';
      if (values[key] === undefined || (given && command.getOptionValueSource(key) !== 'cli')) values[key] = value;
    }
  }
  return values as unknown as T;
}

/** The words that give these options again: those that are not as they would be without. */
export function wordsOf(options: Partial<RunOptions>): string[] {
  const defaults = new Map<string, unknown>([['repeat', 1]]);
  for (const option of globalOptions(DEFAULT_TIMEOUT)) defaults.set(option.attributeName(), option.defaultValue);
  return Object.entries(options).flatMap(([name, value]) => {
    if (value === undefined || value === false || value === defaults.get(name)) return [];
    return value === true ? [`--${name}`] : [`--${name}`, String(value)];
  });
}

function globalOptions(timeout: number): Option[] {
  return [
    new Option('--on <place>', 'where to run').choices(['auto', 'host', ...laneNames]).default('auto'),
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

function repeats(text: string): number {
  if (/^\d+$/.test(text) && Number(text) >= 1 && Number(text) <= 1_000_000) return Number(text);
  throw new InvalidArgumentError('Give a number of runs from 1 to 1000000.');
}

function seedNumber(text: string): number {
  if (isSeed(text)) return Number(text);
  throw new InvalidArgumentError('Give an unsigned 32-bit number, such as 7 or 0xffffffff.');
}
