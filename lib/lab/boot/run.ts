/** Runs a command, or a shell, in a machine of the lab. */

import type { Socket } from 'node:net';
import { resolve } from 'node:path';
import type { InputStream } from '../../base/node-shapes.ts';
import { laneEnvironment } from '../../host/lane.ts';
import { mainInside, nodeInside } from '../disk/init.ts';
import { type InsideCommand, makeInitramfs } from '../disk/initramfs.ts';
import { prepareMedium } from '../disk/medium.ts';
import { LabBootError } from '../errors.ts';
import { onDisk } from '../file-errors.ts';
import { buildKernel } from '../kernel/build.ts';
import { readKernelImage } from '../kernel/bzimage.ts';
import { findEmulator } from '../lanes/find-emulator.ts';
import { laneNamed } from '../lanes/index.ts';
import { TELL_PHASES, type Timings } from '../timings.ts';
import { makeWorkFolder } from '../work-folder.ts';
import { EmulatedMachine } from './emulated-machine.ts';
import { Interruption } from './interruption.ts';
import { kernelCommandLine } from './kernel-command-line.ts';
import { defaultLimits, defaultTimeoutSeconds } from './limits.ts';
import { type Line, openLine } from './lines.ts';
import { Marks } from './marks.ts';
import { type LabOptions, type LabRunOptions, runOptions, shellOptions } from './options.ts';
import { fillRunFolder } from './run-folder.ts';

/**
 * Boots a lane, runs `kvm-dsm` with the given arguments in it and answers with its exit code.
 *
 * @param timings is told when each phase ends
 */
export async function runInLab(options: LabRunOptions, timings?: Timings): Promise<{ exitCode: number }> {
  const given = runOptions.take(options);
  const program = given.program ?? [nodeInside, mainInside];
  const command: Inside = {
    argv: [...program, ...given.argv],
    env: given.env ?? {},
    files: given.files ?? [],
    input: 'none',
    watchesLog: given.watchesLog ?? false,
  };
  return onDisk(() => boot(given, command, given.timeoutSeconds ?? defaultTimeoutSeconds, { timings }));
}

/** Boots a lane and gives a shell in it to this process's standard input and output. */
export async function labShell(options: LabOptions & { stdin: InputStream }): Promise<{ exitCode: number }> {
  const given = shellOptions.take(options);
  const { stdin } = given;
  const terminal = stdin.isTTY === true && process.stdout.isTTY === true;
  const command: Inside = {
    argv: ['/bin/busybox', 'sh'],
    env: { TERM: process.env.TERM ?? 'vt100', PS1: `${given.lane}# ` },
    files: [],
    input: terminal ? { rows: process.stdout.rows || 24, columns: process.stdout.columns || 80 } : 'pipe',
    watchesLog: false,
  };
  return onDisk(() => boot(given, command, undefined, { onReady: (line) => connectInput(stdin, line, terminal) }));
}

type Inside = Omit<InsideCommand, 'links'> & { watchesLog: boolean };

/** Sends what comes in; the end of a pipe or file becomes the ^D that ends it inside. */
function connectInput(stdin: InputStream, line: Socket, terminal: boolean): void {
  if (terminal) stdin.setRawMode?.(true);
  stdin.on('data', (bytes) => line.writable && line.write(bytes));
  stdin.on('end', () => line.writable && line.write('\x04\x04'));
  line.on('close', () => {
    if (terminal) stdin.setRawMode?.(false);
    stdin.pause();
  });
}

/** A run installs nothing by itself: `npm start` asks for it. */
const mayInstall = () => process.env.KVM_DSM_LAB_INSTALL === '1';

async function boot(
  options: LabOptions,
  input: Inside,
  timeoutSeconds: number | undefined,
  { timings, onReady }: { timings?: Timings | undefined; onReady?: (line: Socket) => void },
): Promise<{ exitCode: number }> {
  const report = options.report ?? (() => {});
  // What is wrong with the arguments is told before anything is built.
  const lane = laneNamed(options.lane);
  if (options.kernel !== undefined) readKernelImage(resolve(options.kernel));
  const { kernel } =
    options.kernel === undefined
      ? await buildKernel({
          report,
          signal: options.signal,
          lane: options.lane,
          series: options.series,
          install: mayInstall(),
        })
      : { kernel: resolve(options.kernel) };
  const emulator = findEmulator(lane, options.emulator);
  const medium = await prepareMedium(report);
  timings?.ended('lookup');
  // OpenSSL's configuration is not inside, and looking for it takes time.
  const telling = timings ? { [TELL_PHASES]: '1' } : {};
  const env = { ...laneEnvironment(lane), OPENSSL_CONF: '/dev/null', ...telling, ...input.env };
  const bootOnce = async (verbose: boolean): Promise<{ exitCode: number }> => {
    const marks = new Marks();
    const initramfs = makeInitramfs({ ...input, env, links: medium.links }, marks.file);
    const folder = await makeWorkFolder();
    const dir = folder.path;
    const lines: Line[] = [];
    const interruption = new Interruption(options.signal);
    try {
      fillRunFolder(dir, initramfs, medium.path);
      for (const name of ['line1', 'line2', 'line3']) lines.push(await openLine(dir, name, lane.lineKind, report));
      const cmdline = kernelCommandLine(lane, emulator, options.cmdline, verbose);
      const invocation = await lane.layOut(emulator, { dir, kernel, cmdline }, lines);
      interruption.check();
      timings?.ended('layout');
      const machine = new EmulatedMachine({
        emulator,
        invocation,
        dir,
        lines: lines as [Line, Line, Line],
        stdout: options.stdout,
        stderr: options.stderr,
        onReady,
        report,
        bootReport: lane.quirks.bootReport,
        watchesLog: input.watchesLog,
        marks,
        onMark: options.onMark,
        timings,
        clockIsReal: lane.clockIsReal,
        limits: { ...defaultLimits, ...options.limits },
        timeoutSeconds,
      });
      interruption.watch(machine);
      const exitCode = await machine.run().catch((error) => {
        interruption.check();
        throw error;
      });
      return { exitCode };
    } finally {
      for (const line of lines) line.close();
      await folder.remove();
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
