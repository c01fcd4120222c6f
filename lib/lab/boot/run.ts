/** Runs a command, or a shell, in a machine of the lab. */

import type { Duplex } from 'node:stream';
import type { InputStream } from '../../base/node-shapes.ts';
import { mainInside, nodeInside } from '../disk/init.ts';
import { type InsideCommand, makeInitramfs } from '../disk/initramfs.ts';
import { LabBootError } from '../errors.ts';
import { onDisk } from '../file-errors.ts';
import { runFromSnapshot } from '../snapshot/run.ts';
import { TELL_PHASES, type Timings } from '../timings.ts';
import { runWarm } from '../warm/client.ts';
import { CommandRun } from './command-run.ts';
import { Interruption } from './interruption.ts';
import { kernelCommandLine } from './kernel-command-line.ts';
import { defaultLimits, defaultTimeoutSeconds } from './limits.ts';
import { Marks } from './marks.ts';
import { type LabOptions, type LabRunOptions, runOptions, shellOptions } from './options.ts';
import { type Parts, prepare } from './prepare.ts';
import { type Started, startMachine } from './start-machine.ts';

/**
 * Runs `kvm-dsm` with the given arguments in a machine of a lane, and answers with its exit code. The machine is booted for
 * that, or with `warm` is the one that `lab up` keeps.
 *
 * @param timings is told when each phase ends
 */
export async function runInLab(options: LabRunOptions, timings?: Timings): Promise<{ exitCode: number }> {
  const given = runOptions.take(options);
  const program = given.program ?? [nodeInside, mainInside];
  const telling = timings ? { [TELL_PHASES]: '1' } : {};
  const timeoutSeconds = given.timeoutSeconds ?? defaultTimeoutSeconds;
  return onDisk(async () => {
    given.onStage?.('parts');
    const parts = await prepare(given);
    timings?.ended('lookup');
    const command: Inside = {
      argv: [...program, ...given.argv],
      env: { ...parts.env, ...telling, ...given.env },
      files: given.files ?? [],
      input: 'none',
      watchesLog: given.watchesLog ?? false,
    };
    const asked = { parts, options: given, command, timeoutSeconds, timings };
    const { nodeLine } = given;
    const ready = given.warm && !nodeLine ? ((await runWarm(asked)) ?? (await runFromSnapshot(asked))) : null;
    return ready === null ? boot(parts, given, command, timeoutSeconds, { timings, nodeLine }) : { exitCode: ready };
  });
}

/** Boots a lane and gives a shell in it to this process's standard input and output. */
export async function labShell(options: LabOptions & { stdin: InputStream }): Promise<{ exitCode: number }> {
  const given = shellOptions.take(options);
  const { stdin } = given;
  const terminal = stdin.isTTY === true && process.stdout.isTTY === true;
  const command = {
    argv: ['/bin/busybox', 'sh'],
    env: { TERM: process.env.TERM ?? 'vt100', PS1: `${given.lane}# ` },
    files: [],
    input: terminal ? { rows: process.stdout.rows || 24, columns: process.stdout.columns || 80 } : 'pipe',
    watchesLog: false,
  } satisfies Inside;
  return onDisk(async () => {
    given.onStage?.('parts');
    const parts = await prepare(given);
    const inside: Inside = { ...command, env: { ...parts.env, ...command.env } };
    return boot(parts, given, inside, undefined, { onReady: (line) => connectInput(stdin, line, terminal) });
  });
}

type Inside = InsideCommand & { watchesLog: boolean };

/** Sends what comes in; the end of a pipe or file becomes the ^D that ends it inside. */
function connectInput(stdin: InputStream, line: Duplex, terminal: boolean): void {
  if (terminal) stdin.setRawMode?.(true);
  stdin.on('data', (bytes) => line.writable && line.write(bytes));
  stdin.on('end', () => line.writable && line.write('\x04\x04'));
  line.on('close', () => {
    if (terminal) stdin.setRawMode?.(false);
    stdin.pause();
  });
}

interface BootOptions {
  timings?: Timings | undefined;
  onReady?: (line: Duplex) => void;
  nodeLine?: ((line: Duplex) => void) | undefined;
}

/** A machine for this command alone. */
async function boot(
  parts: Parts,
  options: LabOptions,
  input: Inside,
  timeoutSeconds: number | undefined,
  { timings, onReady, nodeLine }: BootOptions,
): Promise<{ exitCode: number }> {
  const report = options.report ?? (() => {});
  const { lane, emulator, medium } = parts;
  const bootOnce = async (verbose: boolean): Promise<{ exitCode: number }> => {
    options.onStage?.('boot');
    const marks = new Marks();
    const initramfs = makeInitramfs({ links: medium.links, secrets: marks.file, command: input });
    const cmdline = kernelCommandLine(lane, emulator, options.cmdline, verbose);
    const interruption = new Interruption(options.signal);
    let started: Started | undefined;
    try {
      started = await startMachine(parts, initramfs, cmdline, report, {
        nodeLine,
        check() {
          interruption.check();
          timings?.ended('layout');
        },
      });
      const { machine } = started;
      const run = new CommandRun({
        machine,
        stdout: options.stdout,
        stderr: options.stderr,
        onReady,
        report,
        bootReport: lane.quirks.bootReport,
        watchesLog: input.watchesLog,
        marks,
        onMark: options.onMark,
        onStage: options.onStage,
        timings,
        clockIsReal: lane.clockIsReal,
        limits: { ...defaultLimits, ...options.limits },
        timeoutSeconds,
      });
      interruption.watch(machine);
      const exitCode = await run.run().catch((error) => {
        interruption.check();
        throw error;
      });
      return { exitCode };
    } finally {
      await started?.remove();
      interruption.done();
    }
  };
  try {
    return await bootOnce(false);
  } catch (error) {
    // Quiet boots are quick, but a kernel that does not come up has to say why.
    if (!(error instanceof LabBootError && error.unexplained)) throw error;
    report(`${error.message.split('\n', 1)[0]}: booting once more with its log turned on`);
    return await bootOnce(true);
  }
}
