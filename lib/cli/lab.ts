import { type Command, Option } from 'commander';
import {
  buildLab,
  cleanLab,
  describeLabStatus,
  labShell,
  labStatus,
  type SeriesName,
  seriesNames,
  seriesOfProfile,
} from '../lab/index.ts';
import { autoLane } from '../lab/lanes/index.ts';
import { laneOf, ON_LANES } from '../target/lanes.ts';
import { type GlobalOptions, globalOptionsOf, withGlobalOptions } from '../target/options.ts';
import { print, printingStream } from '../target/output.ts';
import { progressLine } from '../target/progress-line.ts';
import { withSignals } from '../target/signals.ts';
import type { Ends } from './subcommand.ts';

const USAGE = 2;

const repeated = (value: string, before: string[]) => [...before, value];

/** Adds `kvm-dsm lab build|status|shell|clean`. */
export function addLabCommand(program: Command, ends: Ends): void {
  const lab = program.command('lab').description('build, inspect, enter or remove the lab');
  withGlobalOptions(lab.command('build'))
    .description('install what is missing and build the lab kernel; prints its path')
    .addOption(new Option('--series <name>', 'patch the source with this series').choices(seriesNames))
    .option('--kernel-src <tree>', 'build this Linux tree, which already has the series')
    .option('--config <fragment>', "for that tree: a fragment's path, or CONFIG_X=y; may be repeated", repeated, [])
    .action(async (options: { kernelSrc?: string; series?: SeriesName; config: string[] }, command: Command) => {
      const { json } = globalOptionsOf(command);
      const { kernelSrc, series, config } = options;
      const { end, ...progress } = progressLine();
      const kernel = await withSignals((signal) =>
        buildLab({ kernelSrc, series, config, install: true, ...progress, signal }).finally(end),
      );
      print(json ? `${JSON.stringify(kernel)}\n` : `${kernel.kernel}\n`);
    });
  withGlobalOptions(lab.command('status'))
    .description('what the lab has and what it lacks')
    .action(async (_options, command: Command) => {
      const status = await labStatus();
      print(globalOptionsOf(command).json ? `${JSON.stringify(status)}\n` : describeLabStatus(status));
    });
  withGlobalOptions(lab.command('shell'))
    .description('a shell inside')
    .action(async (_options, command: Command) => {
      ends(await shell(globalOptionsOf(command)));
    });
  withGlobalOptions(lab.command('clean'))
    .description('remove everything that the lab keeps')
    .action(async (_options, command: Command) => {
      const cleaned = await cleanLab();
      const words = `removed ${cleaned.removed.length} entries of ${cleaned.cacheDir}\n`;
      print(globalOptionsOf(command).json ? `${JSON.stringify(cleaned)}\n` : words);
    });
}

async function shell(options: GlobalOptions): Promise<number> {
  if (options.on === 'host') {
    process.stderr.write(`error: a lab shell needs ${ON_LANES}\n`);
    return USAGE;
  }
  const { kernel, cmdline, emulator, profile } = options;
  const { exitCode } = await labShell({
    lane: laneOf(options.on) ?? autoLane,
    ...(kernel === undefined ? { series: seriesOfProfile(profile) } : { kernel }),
    ...(cmdline === undefined ? {} : { cmdline }),
    ...(emulator === undefined ? {} : { emulator }),
    stdin: process.stdin,
    stdout: printingStream(),
    stderr: process.stderr,
    report: (line) => process.stderr.write(`${line}\n`),
  });
  return exitCode;
}
