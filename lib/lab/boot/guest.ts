import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { threadsOf } from '../../host/threads.ts';
import {
  LabAbortError,
  LabBootError,
  LabDeadlineError,
  LabEmulatorError,
  type LabError,
  LabFrozenError,
  LabInterruptedError,
  LabOopsError,
  LabPanicError,
  LabStoppedError,
} from '../errors.ts';
import type { Emulator } from '../lanes/emulator.ts';
import type { Invocation } from '../lanes/machine.ts';
import { spawnBound } from '../process.ts';
import type { Report } from '../progress.ts';
import { type ConsoleEvent, ConsoleReader } from './console.ts';
import { cpuSeconds } from './cpu-time.ts';
import { type Limits, slowdown } from './limits.ts';
import type { Line } from './lines.ts';
import { dropScreen } from './screen.ts';

/** What a guest is watched with. */
export interface GuestOptions {
  emulator: Emulator;
  invocation: Invocation;
  dir: string;
  /** Kernel log and marks; standard output (and input); standard error. */
  lines: [Line, Line, Line];
  stdout: NodeJS.WritableStream;
  stderr: NodeJS.WritableStream;
  /** Called when the command begins, with the line that carries its input. */
  onReady?: ((line: Socket) => void) | undefined;
  report: Report;
  /** Takes the marks that are not init's. */
  onMark?: ((word: string, rest: string) => void) | undefined;
  limits: Limits;
  /** The command's own limit; none for a person at a terminal. */
  timeoutSeconds: number | undefined;
}

type State = 'booting' | 'starting' | 'running' | 'ending' | 'over';

/** One emulated machine from its start to its end. */
export class Guest {
  readonly #options: GuestOptions;
  readonly #console = new ConsoleReader();
  readonly #child: ChildProcess;
  readonly #started = performance.now();
  #state: State = 'booting';
  /** The emulator has come as far as its serial lines. */
  #connected = false;
  #failure: ((log: string[]) => LabError) | undefined;
  #oops: string | undefined;
  #exitCode: number | undefined;
  /** The guest's own clock at its last sign of life, and when the command began. */
  #uptime = 0;
  #readyUptime = 0;
  /** When the state began and when the last sign of life came: by the wall, and by the emulator's CPU time. */
  #since = { wall: this.#started, cpu: 0 };
  #alive = { wall: this.#started, cpu: 0 };
  #screen: { close(): void } | undefined;
  #oopsAt = 0;
  #outputAt = this.#started;

  constructor(options: GuestOptions) {
    this.#options = options;
    const { emulator, invocation, dir } = options;
    const log = openSync(join(dir, 'output.log'), 'w');
    this.#child = spawnBound(emulator.path, invocation.args, {
      cwd: dir,
      env: invocation.env,
      stdio: ['ignore', 'ignore', log],
      // Ctrl-C at the terminal is for us alone.
      detached: true,
    });
    closeSync(log);
  }

  /** Ends the machine at once. */
  kill(): void {
    this.#child.kill('SIGKILL');
  }

  /** Waits for the machine's end; answers the command's exit code, or throws what went wrong. */
  async run(): Promise<number> {
    const { lines, stdout, stderr, onReady } = this.#options;
    const ended = new Promise<string>((resolve) => {
      this.#child.once('error', (error) => resolve(error.message));
      this.#child.once('exit', (code, signal) => resolve(signal ? `signal ${signal}` : `exit code ${code}`));
    });
    const outputs = [stdout, stderr];
    const drained = lines.map(async (line, index) => {
      // An emulator that ends early may never connect.
      const socket = await Promise.race([line.connected, ended.then(() => undefined)]);
      if (!socket) return;
      this.#connected = true;
      const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
      if (index === 0) socket.on('data', (bytes) => this.#listen(bytes));
      else this.#pass(socket, outputs[index - 1]!);
      if (index === 1) this.#onReady = () => onReady?.(socket);
      socket.resume();
      await closed;
    });
    const watch = setInterval(() => this.#watch(), 250);
    try {
      const end = await ended;
      for (const line of lines) line.connected.then((socket) => socket.resume());
      await Promise.all(drained);
      await Promise.all(outputs.map(flushed));
      return this.#judge(end);
    } finally {
      clearInterval(watch);
      this.#screen?.close();
      for (const line of lines) line.close();
    }
  }

  #onReady = () => {};

  #pass(socket: Socket, output: NodeJS.WritableStream): void {
    // Nobody reads any more: what is still to come has no use, and waiting for room would never end.
    let isGone = false;
    const gone = () => {
      isGone = true;
      this.#fail(() => new LabInterruptedError('the reader of the output has gone', { advice: 'Run it again.' }));
      socket.resume();
    };
    output.once('error', gone);
    output.once('close', gone);
    socket.once('close', () => {
      output.off('error', gone);
      output.off('close', gone);
    });
    socket.on('data', (bytes) => {
      this.#signOfLife();
      this.#outputAt = performance.now();
      // Never paused: a slow reader must not hold up the machine, whose silence would then look like a freeze. No emulated
      // machine writes more than memory can hold until the reader has taken it.
      if (!isGone) output.write(bytes);
    });
  }

  #listen(bytes: Buffer): void {
    for (const event of this.#console.feed(bytes)) this.#handle(event);
  }

  #handle(event: ConsoleEvent): void {
    if (event.type === 'oops') {
      this.#oops ??= event.text;
      this.#oopsAt ||= performance.now();
    } else if (event.type === 'panic') {
      this.#fail(
        (log) =>
          new LabPanicError(`the lab's kernel panicked: ${event.text}`, log, {
            advice: 'The log above has the cause; the lab starts afresh with every run.',
          }),
        // The rest of the report is still on its way.
        1000,
      );
    } else this.#mark(event.word, event.rest);
  }

  #mark(word: string, rest: string): void {
    this.#signOfLife();
    switch (word) {
      case 'boot':
        // It has its terminal by now.
        if (this.#child.pid !== undefined) this.#screen = dropScreen(this.#child.pid);
        this.#enter('starting');
        break;
      case 'alive':
        this.#uptime = Number(rest) || this.#uptime;
        break;
      case 'kvm':
        if (rest === 'no') this.#options.report(`the lab's kernel offers no /dev/kvm${this.#aboutKvm()}`);
        break;
      case 'note':
        this.#options.report(rest);
        break;
      case 'no-medium':
        this.#fail((log) => noMedium(rest, log));
        break;
      case 'no-line':
        this.#fail(
          (log) =>
            new LabBootError(`the kernel has no serial line ${rest}, and the lab needs three`, log, {
              advice: 'Build it with CONFIG_SERIAL_8250_NR_UARTS=4 and CONFIG_SERIAL_8250_RUNTIME_UARTS=4.',
            }),
        );
        break;
      case 'ready':
        this.#enter('running');
        this.#readyUptime = this.#uptime;
        this.#onReady();
        break;
      case 'exit':
        this.#exitCode = Number(rest);
        this.#enter('ending');
        break;
      case 'bye':
        // All output has left the guest: the rest of its shutdown is of no use.
        this.#enter('over');
        this.kill();
        break;
      default:
        this.#options.onMark?.(word, rest);
    }
  }

  #aboutKvm(): string {
    const said = this.#console.tail(100).filter((line) => /kvm/i.test(line));
    return said.length > 0 ? `: ${said.join('; ')}` : '';
  }

  #signOfLife(): void {
    this.#alive = this.#now();
  }

  #now(): { wall: number; cpu: number } {
    const cpu = this.#child.pid === undefined ? undefined : cpuSeconds(this.#child.pid);
    return { wall: performance.now(), cpu: cpu ?? this.#alive.cpu };
  }

  #enter(state: State): void {
    this.#state = state;
    this.#since = this.#now();
  }

  /** Checked a few times per second: has any limit been passed? */
  #watch(): void {
    const { limits, timeoutSeconds } = this.#options;
    const now = this.#now();
    const inState = { wall: (now.wall - this.#since.wall) / 1000, cpu: now.cpu - this.#since.cpu };
    const silent = { wall: (now.wall - this.#alive.wall) / 1000, cpu: now.cpu - this.#alive.cpu };
    const quiet = (now.wall - this.#outputAt) / 1000;
    if (this.#failure || this.#state === 'over') return;
    if (this.#oops && now.wall - this.#oopsAt > limits.oopsSeconds * 1000) {
      this.kill();
    } else if (this.#state === 'booting') {
      if (inState.cpu > limits.bootCpuSeconds || inState.wall > limits.bootSeconds) this.#fail(notBooted(inState.wall));
    } else if (this.#state === 'ending') {
      // What holds the output open outlived the command: its exit code is known, and that is the answer.
      if (Math.min(quiet, inState.wall) > limits.shutdownSeconds) this.kill();
    } else if (silent.cpu > limits.silentCpuSeconds || silent.wall > limits.silentSeconds) {
      const threads = this.#child.pid === undefined ? [] : threadsOf(this.#child.pid);
      this.#fail(frozen(silent, this.#uptime, threads));
    } else if (this.#state === 'running' && timeoutSeconds !== undefined) {
      const guest = this.#uptime - this.#readyUptime;
      const limit = timeoutSeconds + limits.graceSeconds;
      const late =
        (inState.wall > limit && guest > limit) || inState.wall > timeoutSeconds * slowdown + limits.graceSeconds;
      if (late) this.#fail(overdue(timeoutSeconds, inState.wall));
    }
  }

  /** The run has failed: the machine ends, and the log goes into the error when all of it is here. */
  #fail(make: (log: string[]) => LabError, afterMs = 0): void {
    if (this.#failure) return;
    this.#failure = make;
    setTimeout(() => this.kill(), afterMs).unref();
  }

  #judge(end: string): number {
    const log = this.#console.tail();
    if (this.#failure) throw this.#failure(log);
    if (this.#oops !== undefined) {
      throw new LabOopsError(`the lab's kernel oopsed: ${this.#oops}`, log, {
        advice: 'The log above has the cause; the lab starts afresh with every run.',
      });
    }
    if (this.#exitCode !== undefined) return this.#exitCode;
    const { emulator, dir } = this.#options;
    const words = emulatorWords(dir);
    if (crashes.test(end) && this.#connected) {
      throw new LabAbortError(`${emulator.kind} ${emulator.version} itself crashed (${end})${words}`, log, {
        advice:
          'No guest may do that to an emulator: the fault is its own. Avoid what the guest did last, or give another ' +
          'one with --emulator.',
      });
    }
    if (!this.#connected) {
      throw new LabEmulatorError(`${emulator.path} ended by itself (${end}) before there was a machine${words}`, {
        advice: 'Run `kvm-dsm lab status` to see what was found out about this emulator.',
      });
    }
    if (this.#state !== 'running') {
      throw new LabBootError(`the machine stopped while it booted (${emulator.kind}: ${end})${words}`, log, {
        advice: 'Is this kernel made for x86-64, and does it have the drivers that kernel/lab.config names?',
        unexplained: true,
      });
    }
    throw new LabStoppedError(
      `the machine stopped before the command had ended (${emulator.kind}: ${end})${words}`,
      log,
      {
        advice: 'The guest powered off, reset or crashed: the log above has its last words.',
      },
    );
  }
}

function notBooted(seconds: number) {
  return (log: string[]) =>
    new LabBootError(`the kernel did not reach user space within ${Math.round(seconds)} s`, log, {
      unexplained: true,
      advice:
        'It needs CONFIG_BLK_DEV_INITRD, CONFIG_SERIAL_8250_CONSOLE, CONFIG_PRINTK and CONFIG_BINFMT_SCRIPT: ' +
        'compare its configuration with kernel/lab.config.',
    });
}

function noMedium(disks: string, log: string[]): LabError {
  const seen = disks ? `it found the disks ${disks}` : 'it found no disk';
  return new LabBootError(`the kernel cannot read the lab's disk: ${seen}, none of them with the lab's files`, log, {
    advice:
      'It needs CONFIG_ISO9660_FS, and CONFIG_ATA_PIIX with CONFIG_BLK_DEV_SD (vmx) or CONFIG_VIRTIO_PCI with ' +
      'CONFIG_VIRTIO_BLK (svm), built in.',
  });
}

/** @param threads where those of the emulator are: one that computes and one that waits are different faults */
function frozen(silent: { wall: number; cpu: number }, uptime: number, threads: readonly string[]) {
  const used = `${silent.cpu.toFixed(1)} s of CPU time`;
  return (log: string[]) =>
    new LabFrozenError(
      [
        `the lab's machine froze: no sign of life for ${Math.round(silent.wall)} s, the last one at guest time ${uptime} s`,
        `The emulator used ${used} meanwhile, and is here:`,
        ...threads.map((thread) => `  ${thread}`),
      ].join('\n'),
      log,
      {
        advice:
          'Does a guest spin with interrupts disabled (EFLAGS.IF=0) and without exits? Bochs never interrupts such a ' +
          'guest: let it exit now and then, or enable interrupts.',
      },
    );
}

function overdue(limit: number, seconds: number) {
  return (log: string[]) =>
    new LabDeadlineError(
      `the command had ${limit} s and did not end: stopped after ${Math.round(seconds)} s, the machine itself alive`,
      log,
      { advice: 'Give it more time with --timeout, or find out what it waits for.' },
    );
}

/** What Bochs says of its sound, its terminal and in general when it ends. */
const noise = /^=+$|CHS set to|reading configuration from|^ALSA lib|^Bochs connected to screen|^Bochs is exiting with/;

/** The signals by which a process ends that has found, or made, a fault in itself. */
const crashes = /^signal SIG(ABRT|SEGV|BUS|ILL|FPE|TRAP|SYS)$/;

/** A line with a cause; QEMU prints a screen of registers behind it. */
const cause = /\bfatal: |assert|^\*\*ERROR|\bERROR:|PANIC/i;

/** What the emulator itself said last. */
function emulatorWords(dir: string): string {
  const said = ['emulator.log', 'output.log']
    .map((name) => {
      try {
        return readFileSync(join(dir, name), 'utf8');
      } catch {
        return '';
      }
    })
    .join('\n')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !noise.test(line));
  const causes = said.filter((line) => cause.test(line));
  const told = (causes.length > 0 ? causes : said).slice(-4);
  return told.length > 0 ? `: ${told.join('; ')}` : '';
}

function flushed(output: NodeJS.WritableStream): Promise<void> {
  return new Promise((resolve) => {
    if (output.writable) output.write('', () => resolve());
    else resolve();
  });
}
