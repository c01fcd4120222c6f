import { type Command, InvalidArgumentError, Option } from 'commander';
import { ArgumentError } from '../base/errors.ts';
import {
  buildLab,
  cleanLab,
  commandInside,
  DEFAULT_IDLE_MINUTES,
  describeLabStatus,
  type Flavour,
  flavourNames,
  type LaneName,
  labShell,
  labStatus,
  lowerMachines,
  raiseMachine,
  type SeriesName,
  seriesNames,
  seriesOfProfile,
} from '../lab/index.ts';
import { autoLane } from '../lab/lanes/index.ts';
import { laneReport, runInLane, tellStage } from '../target/in-lane.ts';
import { laneOf, ON_LANES } from '../target/lanes.ts';
import { type GlobalOptions, globalOptionsOf, type Meanings, withGlobalOptions } from '../target/options.ts';
import { print, printingStream } from '../target/output.ts';
import { checkProfileName } from '../target/profile-name.ts';
import { withProgressLine } from '../target/progress-line.ts';
import { withSignals } from '../target/signals.ts';
import type { Ends } from './subcommand.ts';

const repeated = (value: string, before: string[]) => [...before, value];

/** Adds `kvm-dsm lab build|status|up|down|exec|shell|clean`. */
export function addLabCommand(program: Command, ends: Ends): void {
  const lab = program
    .command('lab')
    .description('build, inspect, bring up, enter or remove the lab')
    .addHelpText('after', '\nThe options of each: kvm-dsm lab <command> --help')
    // Also where a profile means nothing: what is mistyped is not ignored.
    .hook('preAction', (_lab, action) => checkProfileName(globalOptionsOf(action).profile));
  withLabOptions(lab.command('build'), { json: 'print what was built as one JSON object' })
    .description('install what is missing; build the lab kernel, if none is ready; prints its path')
    .addOption(new Option('--series <name>', 'patch the source with this series').choices(seriesNames))
    .option(
      '--kernel-src <tree>',
      'build this Linux tree, which already has the series, or patch and build this tarball',
    )
    .addOption(new Option('--flavour <name>', 'one that looks at itself while it runs').choices(flavourNames))
    .option('--from-source', 'build, whether there is a kernel ready or not')
    .option(
      '--config <fragment>',
      "for that tree or flavour: a fragment's path, or CONFIG_X=y; may be repeated",
      repeated,
      [],
    )
    .action(
      async (
        options: {
          kernelSrc?: string;
          series?: SeriesName;
          flavour?: Flavour;
          config: string[];
          fromSource?: boolean;
        },
        command: Command,
      ) => {
        const { json } = globalOptionsOf(command);
        const { kernelSrc, series, flavour, config, fromSource } = options;
        const kernel = await withSignals((signal) =>
          withProgressLine(json, (progress) =>
            buildLab({ kernelSrc, series, flavour, config, fromSource, install: true, ...progress, signal }),
          ),
        );
        print(json ? `${JSON.stringify(kernel)}\n` : `${kernel.kernel}\n`);
      },
    );
  withLabOptions(lab.command('status'), { json: 'one JSON document' })
    .description('what the lab has and what it lacks')
    .action(async (_options, command: Command) => {
      const status = await labStatus();
      print(globalOptionsOf(command).json ? `${JSON.stringify(status)}\n` : describeLabStatus(status));
    });
  withLabOptions(lab.command('up'), { ...booted, json: 'print its process and whether it was up as JSON' })
    .description('boot a machine that stays: run and test are answered in it')
    .addOption(
      new Option('--idle <minutes>', 'end it after so long without a command')
        .default(DEFAULT_IDLE_MINUTES)
        .argParser(minutes),
    )
    .action(async ({ idle }: { idle: number }, command: Command) => {
      const options = globalOptionsOf(command);
      const lane = laneFor(options);
      const { status, wasUp } = await withSignals((signal) =>
        withProgressLine(options.json, ({ report }) =>
          raiseMachine({ ...bootOptions(options, lane), idleMinutes: idle, report, signal }, tellStage(lane, '')),
        ),
      );
      const words = `the ${lane} machine ${wasUp ? 'was up already' : 'is up'}: process ${status.pid}, ends after ${idle} idle minutes\n`;
      print(options.json ? `${JSON.stringify({ lane, wasUp, ...status })}\n` : words);
    });
  withLabOptions(lab.command('down'), {
    on: 'end the machine of this lane alone',
    json: 'print which were ended as JSON',
  })
    .description('end the machines that stay, or with --on that of one lane')
    .action(async (_options, command: Command) => {
      const { on, json } = globalOptionsOf(command);
      const lane = laneOf(on);
      const ended = await lowerMachines(lane === null ? undefined : [lane]);
      const words = ended.length > 0 ? `ended: ${ended.join(', ')}\n` : 'no machine was up\n';
      print(json ? `${JSON.stringify({ ended })}\n` : words);
    });
  withLabOptions(lab.command('exec'), { ...booted, timeout: 'seconds that the command may take' })
    .description(
      'run a command inside: one of busybox, or a static program of this host, with the files that its arguments name',
    )
    .argument('<command...>', 'such as: cat /proc/cmdline, or ./a-kvm-selftest')
    .action(async (words: string[], _options, command: Command) => {
      const options = globalOptionsOf(command);
      const { words: argv, files, folder } = commandInside(words);
      const begin = folder === null ? APPLETS : `busybox mkdir -p ${folder} && cd ${folder} && ${APPLETS}`;
      const work = {
        what: `running ${words[0]}`,
        argv,
        files: [...files],
        program: ['/bin/busybox', 'sh', '-c', begin, 'sh'],
      };
      ends(await runInLane(laneFor(options), work, options));
    });
  withLabOptions(lab.command('shell'), booted)
    .description('a shell inside')
    .action(async (_options, command: Command) => {
      ends(await shell(globalOptionsOf(command)));
    });
  withLabOptions(lab.command('clean'), { json: 'print what was removed as JSON' })
    .description('remove everything that the lab keeps')
    .action(async (_options, command: Command) => {
      const cleaned = await cleanLab();
      const words = `removed ${cleaned.removed.length} entries of ${cleaned.cacheDir}\n`;
      print(globalOptionsOf(command).json ? `${JSON.stringify(cleaned)}\n` : words);
    });
}

/** What the options mean to what boots a machine, or enters one. */
const booted: Meanings = {
  on: `the machine: one of the lanes; auto: ${autoLane}`,
  profile: 'boot the kernel of the series that this profile is of',
  kernel: 'boot this image instead of a kernel of the lab',
  cmdline: "add to the kernel's command line",
  emulator: 'use this Bochs or QEMU',
};

function withLabOptions(command: Command, meanings: Meanings): Command {
  return withGlobalOptions(command, undefined, meanings);
}

/** Every program of busybox by its name, for whoever types one. */
const APPLETS = '{ [ -e /bin/ls ] || busybox --install -s /bin; } && exec "$@"';

function minutes(text: string): number {
  const value = Number(text);
  if (value > 0 && value <= 1440) return value;
  throw new InvalidArgumentError('Give minutes, more than 0 and at most 1440.');
}

/** The lane that is asked for, or the usual one. */
function laneFor({ on }: GlobalOptions): LaneName {
  if (on === 'host') throw new ArgumentError('--on', 'the lab is not the host', `Give ${ON_LANES}.`);
  return laneOf(on) ?? autoLane;
}

function bootOptions({ kernel, cmdline, emulator, profile }: GlobalOptions, lane: LaneName) {
  return {
    lane,
    ...(kernel === undefined ? { series: seriesOfProfile(profile) } : { kernel }),
    ...(cmdline === undefined ? {} : { cmdline }),
    ...(emulator === undefined ? {} : { emulator }),
  };
}

async function shell(options: GlobalOptions): Promise<number> {
  const lane = laneFor(options);
  return withSignals(async (signal) => {
    const { exitCode } = await labShell({
      ...bootOptions(options, lane),
      stdin: process.stdin,
      stdout: printingStream(),
      stderr: process.stderr,
      report: laneReport,
      onStage: tellStage(lane, 'the shell was open'),
      signal,
    });
    return exitCode;
  });
}
