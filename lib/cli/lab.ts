import type { Command } from 'commander';
import { buildLab, cleanLab, LabInterruptedError, type LabStatus, labShell, labStatus } from '../lab/index.ts';
import { autoLane } from '../lab/lanes/index.ts';
import { laneOf, ON_LANES } from '../target/lanes.ts';
import { type GlobalOptions, globalOptionsOf, withGlobalOptions } from '../target/options.ts';
import type { Ends } from './subcommand.ts';

const usage = 2;

/** Adds `kvm-dsm lab build|status|shell|clean`. */
export function addLabCommand(program: Command, ends: Ends): void {
  const lab = program.command('lab').description('build, inspect, enter or remove the lab');
  withGlobalOptions(lab.command('build'))
    .description('install what is missing and build the lab kernel; prints its path')
    .option('--kernel-src <tree>', 'build this Linux tree, which already has the series')
    .action(async (options: { kernelSrc?: string }, command: Command) => {
      const { json } = globalOptionsOf(command);
      const progress = progressLine();
      const kernel = await withSignals((signal) =>
        buildLab({ kernelSrc: options.kernelSrc, ...progress, signal }).finally(progress.end),
      );
      process.stdout.write(json ? `${JSON.stringify(kernel)}\n` : `${kernel.kernel}\n`);
    });
  withGlobalOptions(lab.command('status'))
    .description('what the lab has and what it lacks')
    .action(async (_options, command: Command) => {
      const status = await labStatus();
      process.stdout.write(globalOptionsOf(command).json ? `${JSON.stringify(status)}\n` : describe(status));
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
      process.stdout.write(globalOptionsOf(command).json ? `${JSON.stringify(cleaned)}\n` : words);
    });
}

async function shell(options: GlobalOptions): Promise<number> {
  if (options.on === 'host') {
    process.stderr.write(`error: a lab shell needs ${ON_LANES}\n`);
    return usage;
  }
  const { kernel, cmdline, emulator } = options;
  const { exitCode } = await labShell({
    lane: laneOf(options.on) ?? autoLane,
    ...(kernel === undefined ? {} : { kernel }),
    ...(cmdline === undefined ? {} : { cmdline }),
    ...(emulator === undefined ? {} : { emulator }),
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    report: (line) => process.stderr.write(`${line}\n`),
  });
  return exitCode;
}

/** Ctrl-C and SIGTERM end the work in an orderly way. */
async function withSignals<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const abort = new AbortController();
  const stop = () => abort.abort(new LabInterruptedError('interrupted', { advice: 'Run it again.' }));
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, stop);
  try {
    return await work(abort.signal);
  } finally {
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(name, stop);
  }
}

/** On a terminal one line is written over and over; elsewhere every word is a line. */
function progressLine() {
  const { stderr } = process;
  if (!stderr.isTTY) return { report: (line: string) => void stderr.write(`${line}\n`), end() {} };
  let told = false;
  return {
    reportEveryMs: 500,
    report(line: string) {
      told = true;
      stderr.write(`\r\x1b[K${line.slice(0, stderr.columns - 1)}`);
    },
    end: () => void (told && stderr.write('\n')),
  };
}

function describe(status: LabStatus): string {
  const { image, packages, lanes } = status;
  const mib = (bytes: number) => `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
  const kernel = image.kernel ? ` ${image.kernel.release}, ${mib(image.kernel.bytes)}, ${image.kernel.kernel}` : '';
  const lines = [
    `cache     ${status.cacheDir} (${mib(status.diskBytes)})${status.building ? ', a build is going on' : ''}`,
    `image     ${image.state}${kernel}`,
    ...(image.state === 'present' ? [] : ['          build it: kvm-dsm lab build']),
    ...status.treeKernels.map((tree) => `tree      ${tree.source}: ${tree.kernel}`),
    `packages  ${packages.missing.length > 0 ? `missing: ${packages.missing.join(' ')}` : 'complete'}`,
    ...Object.entries(lanes).map(([name, lane]) => {
      const emulator = lane.emulator ? ` (${lane.emulator.kind} ${lane.emulator.version}, ${lane.emulator.path})` : '';
      return `${name.padEnd(9)} ${lane.usable ? 'usable' : `not usable: ${lane.reasons.join('; ')}`}${emulator}`;
    }),
  ];
  return `${lines.join('\n')}\n`;
}
