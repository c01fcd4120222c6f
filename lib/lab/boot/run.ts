import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { mainInside, nodeInside } from '../disk/init.ts';
import { type GuestCommand, makeInitramfs } from '../disk/initramfs.ts';
import { prepareMedium } from '../disk/medium.ts';
import { LabBootError, LabInterruptedError } from '../errors.ts';
import { buildKernel } from '../kernel/build.ts';
import { readKernelImage } from '../kernel/bzimage.ts';
import { findEmulator, type Lane } from '../lanes/emulator.ts';
import { kernelCommandLine, layOut } from '../lanes/machine.ts';
import type { Report } from '../progress.ts';
import { Guest } from './guest.ts';
import { defaultLimits, defaultTimeoutSeconds, type Limits } from './limits.ts';
import { type Line, openLine } from './lines.ts';

/** What every guest is started with. */
export interface LabOptions {
  lane: Lane;
  /** A bzImage; without it the lab's own, which is built when the cache has none. */
  kernel?: string;
  /** Behind the lab's own kernel parameters, so that it wins over them. */
  cmdline?: string;
  /** A Bochs (vmx) or QEMU (svm) binary instead of the system's. */
  emulator?: string;
  stdout: NodeJS.WritableStream;
  stderr: NodeJS.WritableStream;
  /** Takes words on what is going on. */
  report?: Report;
  /** Takes the words that the command inside marks in the kernel's log, behind the lab's own marker. */
  onMark?: (word: string, rest: string) => void;
  /** Ends the guest. */
  signal?: AbortSignal;
  /** How long a guest may stay silent, and so on. */
  limits?: Partial<Limits>;
}

/** A command to run in the lab. */
export interface LabRunOptions extends LabOptions {
  /** The `kvm-dsm` arguments. */
  argv: readonly string[];
  env?: Readonly<Record<string, string>>;
  /** Files at absolute paths in the guest. */
  files?: readonly { path: string; data: Uint8Array | string }[];
  /** What the command allows itself; the lab waits somewhat longer. */
  timeoutSeconds?: number;
  /** Runs this instead of the `kvm-dsm` command. */
  program?: readonly string[];
}

/** Boots a lane, runs `kvm-dsm` with the given arguments in it and answers with its exit code. */
export function runInLab(options: LabRunOptions): Promise<{ exitCode: number }> {
  const program = options.program ?? [nodeInside, mainInside];
  const command: GuestInput = {
    argv: [...program, ...options.argv],
    env: options.env ?? {},
    files: options.files ?? [],
    input: 'none',
  };
  return boot(options, command, options.timeoutSeconds ?? defaultTimeoutSeconds);
}

/** Boots a lane and gives a shell in it to this process's standard input and output. */
export function labShell(options: LabOptions & { stdin: NodeJS.ReadStream }): Promise<{ exitCode: number }> {
  const { stdin } = options;
  const terminal = stdin.isTTY === true && process.stdout.isTTY === true;
  const command: GuestInput = {
    argv: ['/bin/busybox', 'sh'],
    env: { TERM: process.env.TERM ?? 'vt100', PS1: `${options.lane}# ` },
    files: [],
    input: terminal ? { rows: process.stdout.rows || 24, columns: process.stdout.columns || 80 } : 'pipe',
  };
  return boot(options, command, undefined, (line) => connectInput(stdin, line, terminal));
}

type GuestInput = Omit<GuestCommand, 'links'>;

/** Sends what comes in; the end of a pipe or file becomes the ^D that ends it inside. */
function connectInput(stdin: NodeJS.ReadStream, line: Socket, terminal: boolean): void {
  if (terminal) stdin.setRawMode(true);
  stdin.on('data', (bytes) => line.writable && line.write(bytes));
  stdin.on('end', () => line.writable && line.write('\x04\x04'));
  line.on('close', () => {
    if (terminal) stdin.setRawMode(false);
    stdin.pause();
  });
}

async function boot(
  options: LabOptions,
  input: GuestInput,
  timeoutSeconds: number | undefined,
  onReady?: (line: Socket) => void,
): Promise<{ exitCode: number }> {
  const report = options.report ?? (() => {});
  // What is wrong with the arguments is told before anything is built.
  if (options.kernel !== undefined) readKernelImage(resolve(options.kernel));
  const { kernel } =
    options.kernel === undefined
      ? await buildKernel({ report, signal: options.signal })
      : { kernel: resolve(options.kernel) };
  const emulator = findEmulator(options.lane, options.emulator);
  const medium = await prepareMedium();
  const env = { ...guestEnvironment(options.lane), ...input.env };
  const initramfs = makeInitramfs({ ...input, env, links: medium.links });
  const bootOnce = async (verbose: boolean): Promise<{ exitCode: number }> => {
    const dir = makeRunDir();
    const lines: Line[] = [];
    const interruption = new Interruption(options.signal);
    try {
      const kind = emulator.kind === 'bochs' ? 'tcp' : 'unix';
      for (const name of ['line1', 'line2', 'line3']) lines.push(await openLine(dir, name, kind));
      const cmdline = kernelCommandLine(emulator, options.cmdline, verbose);
      const parts = { dir, kernel, initramfs, cmdline, medium: medium.path };
      const invocation = await layOut(emulator, parts, lines);
      interruption.check();
      const guest = new Guest({
        emulator,
        invocation,
        dir,
        lines: lines as [Line, Line, Line],
        stdout: options.stdout,
        stderr: options.stderr,
        onReady,
        report,
        onMark: options.onMark,
        limits: { ...defaultLimits, ...options.limits },
        timeoutSeconds,
      });
      interruption.watch(guest);
      const exitCode = await guest.run().catch((error) => {
        interruption.check();
        throw error;
      });
      return { exitCode };
    } finally {
      for (const line of lines) line.close();
      rmSync(dir, { recursive: true, force: true });
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

function guestEnvironment(lane: Lane): Record<string, string> {
  // OpenSSL's configuration is not in the guest, and looking for it takes time.
  return { KVM_DSM_LANE: lane, OPENSSL_CONF: '/dev/null' };
}

const prefix = 'kvm-dsm-lab-';

/** A folder for one run. Those of processes that were killed are removed. */
function makeRunDir(): string {
  // A socket's path may have 107 bytes.
  const base = tmpdir().length < 60 ? tmpdir() : '/tmp';
  for (const name of readdirSync(base)) {
    const pid = new RegExp(`^${prefix}(\\d+)-`).exec(name)?.[1];
    if (pid && !isAlive(Number(pid))) rmSync(join(base, name), { recursive: true, force: true });
  }
  mkdirSync(base, { recursive: true });
  const dir = mkdtempSync(join(base, `${prefix}${process.pid}-`));
  writeFileSync(join(dir, 'pid'), String(process.pid));
  return dir;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

const deadly: NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/** Ends the guest and its files on an abort, or on a signal, which then ends this process as it would have. */
class Interruption {
  readonly #signal: AbortSignal | undefined;
  #guest: Guest | undefined;
  #caught: NodeJS.Signals | undefined;

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal;
    signal?.addEventListener('abort', this.#stop);
    for (const name of deadly) process.on(name, this.#catch);
  }

  watch(guest: Guest): void {
    this.#guest = guest;
    if (this.#signal?.aborted || this.#caught) guest.kill();
  }

  /** Throws if an interruption has come. */
  check(): void {
    if (!this.#caught && !this.#signal?.aborted) return;
    throw new LabInterruptedError(`interrupted${this.#caught ? ` by ${this.#caught}` : ''}`, {
      advice: 'Run it again.',
    });
  }

  done(): void {
    this.#signal?.removeEventListener('abort', this.#stop);
    for (const name of deadly) process.off(name, this.#catch);
    if (this.#caught) process.kill(process.pid, this.#caught);
  }

  #stop = () => this.#guest?.kill();

  #catch = (name: NodeJS.Signals) => {
    this.#caught = name;
    this.#stop();
  };
}
