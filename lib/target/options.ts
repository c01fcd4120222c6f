/** The options that every subcommand takes. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { laneNames } from '../lab/lanes/index.ts';
import type { On } from './lanes.ts';

/** Their values. */
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

/** What the options mean to a subcommand, by their names. */
export type Meanings = Partial<Record<keyof GlobalOptions, string>>;

/**
 * Adds them to a subcommand: they may stand before its name as well.
 *
 * @param meanings what they mean to it; those that are left out mean nothing, are taken all the same, and stand in no help
 */
export function withGlobalOptions(command: Command, timeout = DEFAULT_TIMEOUT, meanings?: Meanings): Command {
  for (const option of globalOptions(timeout)) {
    const meaning = meanings?.[option.attributeName() as keyof GlobalOptions];
    if (meaning !== undefined) option.description = meaning;
    command.addOption(option.hideHelp(meanings !== undefined && meaning === undefined));
  }
  return command;
}

/** The same options on the program itself, without defaults: a subcommand's own win. */
export function withLeadingOptions(program: Command): Command {
  for (const option of globalOptions(DEFAULT_TIMEOUT)) program.addOption(option.hideHelp().default(undefined));
  return program;
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

/** The arguments that give these options again: those that are not as they would be without. */
export function optionArguments(options: Partial<GlobalOptions>, ownDefaults: Record<string, unknown> = {}): string[] {
  const defaults = new Map(Object.entries(ownDefaults));
  for (const option of globalOptions(DEFAULT_TIMEOUT)) defaults.set(option.attributeName(), option.defaultValue);
  return Object.entries(options).flatMap(([name, value]) => {
    if (value === undefined || value === false || value === defaults.get(name)) return [];
    const option = `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    return value === true ? [option] : [option, String(value)];
  });
}

/** The arguments that say where something runs, beside the target: kernel, its command line, emulator, device. */
export function placeArguments(given: GlobalOptions): string[] {
  const place: Partial<GlobalOptions> = Object.fromEntries(
    (['kernel', 'cmdline', 'emulator', 'device'] as const).map((name) => [name, given[name]]),
  );
  return optionArguments(place);
}

function globalOptions(timeout: number): Option[] {
  return [
    new Option('--on <place>', 'where to run').choices(['auto', 'host', ...laneNames]).default('auto'),
    new Option('--json', 'machine-readable output').default(false),
    new Option(
      '--profile <name>',
      'the version of the series whose numbers count; auto: what the kernel speaks',
    ).default('rfc-v2'),
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
