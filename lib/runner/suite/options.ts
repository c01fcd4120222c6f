/** The options of `kvm-dsm test`. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type ReporterName, reporterNames } from '../../suite/report/index.ts';
import { kernelEventsOption, quietOption, timingsOption } from '../options.ts';

/** Seconds that one round of `kvm-dsm test` may take if `--timeout` does not say otherwise. */
export const ROUND_TIMEOUT = 1200;
/** How much longer `--thorough` may take, at most. */
const THOROUGH = 20;

/** Seconds that `kvm-dsm test` may take if `--timeout` does not say otherwise. */
export function defaultTimeout({ repeat, thorough }: Pick<TestOptions, 'repeat' | 'thorough'>): number {
  return ROUND_TIMEOUT * repeat * (thorough ? THOROUGH : 1);
}

/** More would load a host with boots, and with memory: half a gibibyte each, or more. */
export const MOST_MACHINES = 8;

/** Their values, beside the global ones. */
export interface TestOptions {
  reporter: ReporterName;
  /** With `--reporter kcidb`: whose tests these are. */
  buildId?: string;
  list: boolean;
  strict: boolean;
  bail: boolean;
  destructive: boolean;
  thorough: boolean;
  shuffle: boolean;
  repeat: number;
  seed?: number;
  /** In the lab: how many machines share the checks; if it is left out, `machinesFor` says. */
  machines?: number;
  /** In the lab: tell how long each phase took. */
  timings: boolean;
  /** Only failures and totals. */
  quiet: boolean;
  /** Rows of the report: names of the lane's variants, `default`, or `all`; none: the lane as it is. */
  variant: string[];
  /** A folder: a trace file of each check that fails. */
  trace?: string;
  /** Words that name which of the kernel's own events it has as well: `chooseEvents`. */
  kernelEvents?: string[];
  /** In the lab: a folder for the lines of KVM that the checks reach. */
  coverage?: string;
  /** A script whose checks run instead of the suite's. */
  checks?: string;
}

/** Adds the options that only `test` takes. */
export function withTestOptions(command: Command): Command {
  for (const option of testOptions()) command.addOption(option);
  return command;
}

function testOptions(): Option[] {
  return [
    new Option('--reporter <name>', 'how to report').choices(reporterNames).default('spec'),
    new Option(
      '--build-id <origin:id>',
      'with --reporter kcidb: the build that is tested, as it was submitted (default: the kernel is described as one)',
    ).argParser(buildId),
    new Option('--list', 'print the checks, their claims and sources, and run none').default(false),
    new Option('--strict', 'a known shortfall of the series is a failure as well').default(false),
    new Option('--bail', 'stop at the first failure').default(false),
    new Option('--destructive', 'in the lab: also run the checks that may take the kernel down').default(false),
    new Option('--thorough', 'each check tries as much as it can, and may take twenty times as long').default(false),
    new Option('--shuffle', 'in an order that the seed decides').default(false),
    new Option('--repeat <n>', 'run everything so many times (the default of --timeout is for each)')
      .default(1)
      .argParser(integer(1, 10_000)),
    new Option('--seed <n>', 'what random choices depend on (default: a new one)').argParser(integer(0, 0xffff_ffff)),
    new Option('--variant <name>', "in the lab: one of the lane's variants, `default`, or `all`; may be repeated")
      .default([])
      .argParser((name: string, names: string[]) => [...names, name]),
    new Option(
      '--machines <n>',
      'in the lab: so many machines share the checks (default: as many as this host has CPUs for)',
    ).argParser(integer(1, MOST_MACHINES)),
    new Option('--trace <dir>', 'write what happened in each check that fails into a file there: see `kvm-dsm trace`'),
    kernelEventsOption(),
    new Option(
      '--coverage <dir>',
      'in the lab: count the lines of KVM that each check reaches, on the kernel of `lab build --flavour gcov`',
    ),
    timingsOption(),
    quietOption('print only failures and totals (reporter spec)'),
    new Option('--checks <file>', 'run the checks of this script instead (.ts or .js)'),
  ];
}

/** Source: kcidb-io, the schema's origin_id_pattern. */
function buildId(text: string): string {
  if (/^[a-z0-9_]+:\S+$/.test(text)) return text;
  throw new InvalidArgumentError('Give the name of who submitted it (a to z, 0 to 9 and _), a colon, and its id.');
}

/** What reads an integer of a command line. */
export function integer(low: number, high: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= low && value <= high) return value;
    throw new InvalidArgumentError(`Give an integer from ${low} to ${high}.`);
  };
}
