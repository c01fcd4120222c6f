/** The options of `kvm-dsm run`. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { ArgumentError } from '../base/errors.ts';
import { isSeed } from '../base/seed.ts';
import { chooseEvents, whyRefused } from '../host/ftrace/choice.ts';
import type { Exploring } from '../script/session.ts';
import type { GlobalOptions } from '../target/options.ts';

/** Their values. */
export interface RunCommandOptions extends GlobalOptions {
  /** How often the script is run. */
  repeat: number;
  /** Of `random` in the first run: an unsigned 32-bit number. Without it a fresh one is chosen. */
  seed?: number;
  /** Run again whenever the script or something that it imports changes. */
  watch: boolean;
  /** Where the trace is written. */
  trace?: string;
  /** Words that name which of the kernel's own events it has as well: `chooseEvents`. */
  kernelEvents?: string[];
  /** In the lab: tell how long each phase took. */
  timings: boolean;
  /** No exits, and no word of what goes on. */
  quiet: boolean;
  /** Of `kvm-dsm explore --schedules` alone: what it says of each exploration. */
  exploring?: Exploring;
  /** Of `kvm-dsm node` alone: which shard of its machines the script is. */
  shard?: ShardOptions;
}

/** What a script's process has to know of the shard that it is. */
export interface ShardOptions {
  /** The name that all shards of the machine are given. */
  vm: string;
  /** vcpu_id of each that runs here. */
  vcpus: readonly number[];
  /** How many vCPUs the machine has. */
  of: number;
  /** How long to wait for the others, in ms. */
  deadline: number;
  /** What leads to the process that is joined with the others: a descriptor, or a device. */
  line: number | string;
}

/** What some of them are if they are not given. */
export const runDefaults = { repeat: 1 };

/** Adds the options that only `run` takes. */
export function withRunOptions(command: Command): Command {
  const repeat = new Option('--repeat <n>', 'run it n times, up to the first failure');
  return command
    .addOption(repeat.default(runDefaults.repeat).argParser(runs))
    .addOption(seedOption())
    .addOption(new Option('--watch', 'run again when the script or what it imports changes').default(false))
    .addOption(new Option('--trace <file>', 'write all that happens to this file, as it happens: docs/trace.md'))
    .addOption(kernelEventsOption())
    .addOption(timingsOption())
    .addOption(quietOption("print no exits: only the script's own output, findings and the result"));
}

/** `--seed`, of `run` and of `explore --schedules`. */
export const seedOption = () => new Option('--seed <s>', "seed of the script's random choices").argParser(seedNumber);

/** `--kernel-events`, of `run` and of `test`. */
export const kernelEventsOption = () =>
  new Option(
    '--kernel-events <list>',
    "with --trace: the kernel's own events as well: interrupts, names, globs (kvm:*), probes (p:name symbol)",
  ).argParser((list: string, before?: string[]) => [...(before ?? []), ...kernelEventWords(list)]);

function kernelEventWords(list: string): string[] {
  const words = list.split(',').map((word) => word.trim());
  const wrong = chooseEvents(words);
  if (typeof wrong !== 'string') return words;
  throw new InvalidArgumentError(
    `${JSON.stringify(wrong)} ${whyRefused(wrong)}: give interrupts, a name or a glob such as kvm_exit or kvm:kvm_pi*, or p:name symbol.`,
  );
}

/** @param what `--trace` is followed by */
export function kernelEventsWithoutTrace(what: string): ArgumentError {
  const why = "--kernel-events adds the kernel's events to a trace, and none is written";
  return new ArgumentError('--kernel-events', why, `Add --trace ${what}.`);
}

/** `--timings`, of `run` and of `test`. */
export const timingsOption = () => new Option('--timings', 'in the lab: tell where the seconds went').default(false);

/** `--quiet`, of `run` and of `test`. */
export const quietOption = (meaning: string) => new Option('-q, --quiet', meaning).default(false);

function runs(text: string): number {
  if (/^\d+$/.test(text) && Number(text) >= 1 && Number(text) <= 1_000_000) return Number(text);
  throw new InvalidArgumentError('Give a number of runs from 1 to 1000000.');
}

function seedNumber(text: string): number {
  if (isSeed(text)) return Number(text);
  throw new InvalidArgumentError('Give an unsigned 32-bit number, such as 7 or 0xffffffff.');
}
