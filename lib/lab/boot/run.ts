/** Runs a command, or a shell, in a machine of the lab. */

import type { Socket } from 'node:net';
import { resolve } from 'node:path';
import { checkChoice } from '../../base/check.ts';
import type { Abort, InputStream, OutputStream } from '../../base/node-shapes.ts';
import { laneEnvironment } from '../../host/lane.ts';
import { mainInside, nodeInside } from '../disk/init.ts';
import { type InsideCommand, type InsideFile, makeInitramfs } from '../disk/initramfs.ts';
import { prepareMedium } from '../disk/medium.ts';
import { LabBootError } from '../errors.ts';
import { onDisk } from '../file-errors.ts';
import { buildKernel } from '../kernel/build.ts';
import { readKernelImage } from '../kernel/bzimage.ts';
import { findEmulator } from '../lanes/find-emulator.ts';
import { type LaneName, laneNamed, laneNames } from '../lanes/index.ts';
import type { Report } from '../progress.ts';
import { makeWorkFolder } from '../work-folder.ts';
import { EmulatedMachine } from './emulated-machine.ts';
import { Interruption } from './interruption.ts';
import { kernelCommandLine } from './kernel-command-line.ts';
import { defaultLimits, defaultTimeoutSeconds, type Limits } from './limits.ts';
import { type Line, openLine } from './lines.ts';
import { Marks } from './marks.ts';
import { fillRunFolder } from './run-folder.ts';

/** What every machine is started with. */
export interface LabOptions {
  lane: LaneName;
  /** A bzImage; without it the lab's own, which is built when the cache has none. */
  kernel?: string;
  /** Behind the lab's own kernel parameters, so that it wins over them. */
  cmdline?: string;
  /** A binary of the lane's emulator instead of the system's. */
  emulator?: string;
  stdout: OutputStream;
  stderr: OutputStream;
  /** Takes words on what is going on. */
  report?: Report;
  /**
   * Takes what the command inside writes into the kernel's log behind the lab's marker. Every process inside can do that:
   * false if it is not the command's; then it stands in the log.
   */
  onMark?: (text: string) => boolean;
  /** Ends the machine. */
  signal?: Abort;
  /** How long a machine may stay silent, and so on. */
  limits?: Partial<Limits>;
}

/** A command to run in the lab. */
export interface LabRunOptions extends LabOptions {
  /** The `kvm-dsm` arguments. */
  argv: readonly string[];
  env?: Readonly<Record<string, string>>;
  /** Files at absolute paths inside. */
  files?: readonly InsideFile[];
  /** What the command allows itself; the lab waits somewhat longer. */
  timeoutSeconds?: number;
  /** The command reads the kernel's log itself: if it fails, a report of the kernel's is no news. Default false. */
  watchesLog?: boolean;
  /** Runs this instead of the `kvm-dsm` command. */
  program?: readonly string[];
}

/** Boots a lane, runs `kvm-dsm` with the given arguments in it and answers with its exit code. */
export function runInLab(options: LabRunOptions): Promise<{ exitCode: number }> {
  const program = options.program ?? [nodeInside, mainInside];
  const command: Inside = {
    argv: [...program, ...options.argv],
    env: options.env ?? {},
    files: options.files ?? [],
    input: 'none',
    watchesLog: options.watchesLog ?? false,
  };
  return onDisk(() => boot(options, command, options.timeoutSeconds ?? defaultTimeoutSeconds));
}

/** Boots a lane and gives a shell in it to this process's standard input and output. */
export function labShell(options: LabOptions & { stdin: InputStream }): Promise<{ exitCode: number }> {
  const { stdin } = options;
  const terminal = stdin.isTTY === true && process.stdout.isTTY === true;
  const command: Inside = {
    argv: ['/bin/busybox', 'sh'],
    env: { TERM: process.env.TERM ?? 'vt100', PS1: `${options.lane}# ` },
    files: [],
    input: terminal ? { rows: process.stdout.rows || 24, columns: process.stdout.columns || 80 } : 'pipe',
    watchesLog: false,
  };
  return onDisk(() => boot(options, command, undefined, (line) => connectInput(stdin, line, terminal)));
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

async function boot(
  options: LabOptions,
  input: Inside,
  timeoutSeconds: number | undefined,
  onReady?: (line: Socket) => void,
): Promise<{ exitCode: number }> {
  const report = options.report ?? (() => {});
  // What is wrong with the arguments is told before anything is built.
  const lane = laneNamed(checkChoice('lane', options.lane, laneNames));
  if (options.kernel !== undefined) readKernelImage(resolve(options.kernel));
  const { kernel } =
    options.kernel === undefined
      ? await buildKernel({ report, signal: options.signal })
      : { kernel: resolve(options.kernel) };
  const emulator = findEmulator(lane, options.emulator);
  const medium = await prepareMedium();
  // OpenSSL's configuration is not inside, and looking for it takes time.
  const env = { ...laneEnvironment(lane), OPENSSL_CONF: '/dev/null', ...input.env };
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
