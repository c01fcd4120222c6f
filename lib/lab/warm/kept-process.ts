/** The machine that a keeper keeps: its boot, its words, and what each command leaves in it. */
import { closeSync, openSync, writeSync } from 'node:fs';
import type { Duplex } from 'node:stream';
import { printable } from '../../base/text.ts';
import { ConsoleReader } from '../boot/console.ts';
import type { EmulatorProcess } from '../boot/emulator-process.ts';
import { kernelCommandLine } from '../boot/kernel-command-line.ts';
import { defaultLimits } from '../boot/limits.ts';
import { type Mark, Marks } from '../boot/marks.ts';
import { prepare, type Started, startMachine } from '../boot/prepare.ts';
import { Watch } from '../boot/watch.ts';
import { jobUnit } from '../disk/init.ts';
import { makeInitramfs } from '../disk/initramfs.ts';
import { LabBootError } from '../errors.ts';
import type { JobDisk } from '../lanes/lane.ts';
import type { Fit } from './fit.ts';
import { faultOf, type Left, readLeft } from './left.ts';
import { fitOf, type KeeperOptions, type Turn } from './protocol.ts';
import type { MessageKind } from './wire.ts';

/** Why a machine is of no use any more. */
export interface MachineFault {
  /** For the command whose turn it is: how the machine ended. */
  how: string;
  /** For the next one. */
  why: string;
}

/** Who keeps it is told. */
export interface KeptEvents {
  /** It waits for a command; or has to be booted again, and why. */
  idle(fault: string | null): void;
  lost(fault: MachineFault): void;
  /** What comes by its lines. */
  bytes(kind: MessageKind, bytes: Buffer): void;
}

const lineKinds: readonly MessageKind[] = ['console', 'stdout', 'stderr'];

export class KeptProcess {
  readonly fit: Fit;
  readonly #machine: EmulatorProcess;
  readonly #started: Started;
  readonly #jobDisk: JobDisk;
  readonly #events: KeptEvents;
  readonly #marks: Marks;
  readonly #console: ConsoleReader;
  readonly #watch: Watch;
  #input: Duplex | undefined;
  #uptime = 0;
  /** As it was after the boot. */
  #fresh: Left | null = null;
  /** The kernel has reported that it is broken. */
  #reported: string | null = null;
  /** Where the last command's files end on the disk. */
  #used = 0;
  #isEnding = false;

  /** Starts one. Throws what `prepare` throws. */
  static async start(options: KeeperOptions, events: KeptEvents): Promise<KeptProcess> {
    const parts = await prepare(options);
    const { lane, emulator, medium } = parts;
    const marks = new Marks();
    const initramfs = makeInitramfs({
      links: medium.links,
      secrets: marks.file,
      command: { serve: lane.jobDevice, env: parts.env },
    });
    const cmdline = kernelCommandLine(lane, emulator, options.cmdline, false);
    const started = await startMachine(parts, initramfs, cmdline, () => {}, { serves: true });
    return new KeptProcess(fitOf(parts, options.cmdline), started, marks, events);
  }

  private constructor(fit: Fit, started: Started, marks: Marks, events: KeptEvents) {
    this.fit = fit;
    this.#started = started;
    this.#machine = started.machine;
    this.#jobDisk = started.jobDisk!;
    this.#events = events;
    this.#marks = marks;
    // Other words behind the marker are a command's.
    this.#console = new ConsoleReader(marks, () => true);
    this.#watch = new Watch(this.#machine.pid, defaultLimits, undefined);
    this.#machine.lines.forEach((line, index) => {
      line.connected.then((socket) => {
        if (index === 1) this.#input = socket;
        socket.on('data', (bytes: Buffer) => {
          this.#watch.wrote();
          if (index === 0) this.#hear(bytes);
          events.bytes(lineKinds[index]!, bytes);
        });
        socket.resume();
      });
    });
    this.#machine.ended.then((how) => this.#lose({ how, why: `the machine ended (${how})` }));
  }

  get pid(): number | null {
    return this.#machine.pid ?? null;
  }

  get emulator(): string {
    return this.#machine.emulator.path;
  }

  /** What a command is given. */
  turn(): Omit<Turn, 'notes'> {
    const { pid = 0, dir } = this.#machine;
    return { emulatorPid: pid, secrets: { alive: this.#marks.secret('alive') }, uptime: this.#uptime, dir };
  }

  /** Puts a command's files where the machine reads them. */
  bring(archive: Buffer): void {
    const { path, offset } = this.#jobDisk;
    const size = Math.ceil(archive.length / jobUnit) * jobUnit;
    // Nothing of the command before stays readable.
    const bytes = Buffer.alloc(Math.max(size, this.#used));
    archive.copy(bytes);
    const fd = openSync(path, 'r+');
    try {
      writeSync(fd, bytes, 0, bytes.length, offset);
    } finally {
      closeSync(fd);
    }
    this.#used = size;
  }

  /** Tells the machine's init of the command. */
  begin(line: Buffer): void {
    const words = /^[0-9a-f ]{1,200}\n$/.exec(line.toString('latin1'))?.[0];
    if (words !== undefined) this.#input?.write(`${this.#jobDisk.offset / jobUnit} ${words}`);
  }

  /** Has it passed a limit? */
  look(): MachineFault | null {
    const verdict = this.#watch.check();
    if (verdict === undefined) return null;
    const why = verdict === 'end' ? 'its kernel crashed' : verdict(this.#console.tail()).message.split('\n', 1)[0]!;
    return { how: why, why };
  }

  kill(): void {
    this.#machine.kill();
  }

  /** Ends it, and removes what it worked in. */
  async end(): Promise<void> {
    this.#isEnding = true;
    this.#machine.kill();
    await this.#machine.ended;
    await this.#started.remove();
  }

  #lose(fault: MachineFault): void {
    if (!this.#isEnding) this.#events.lost(fault);
  }

  #hear(bytes: Buffer): void {
    for (const event of this.#console.feed(bytes)) {
      if (event.type === 'mark') this.#mark(event.mark);
      else if (event.type === 'report' && this.#fresh) this.#reported ??= event.report.line;
      else if (event.type === 'panic') this.#reported ??= event.text;
    }
  }

  #mark({ word, rest }: Mark): void {
    this.#watch.signOfLife();
    if (word === 'boot') {
      this.#machine.booted();
      this.#watch.enter('starting');
    } else if (word === 'alive') this.#uptime = Number(rest);
    else if (word === 'idle') this.#idle(rest);
    else if (word === 'no_medium' || word === 'no_line') {
      const { message } = new LabBootError(`the machine lacks a disk or a line (${printable(rest)})`, [], {
        advice: '',
      });
      this.#lose({ how: message, why: message });
    }
  }

  #idle(rest: string): void {
    const left = readLeft(rest);
    const fault = this.#reported ? `its kernel reported: ${this.#reported}` : this.#fresh && faultOf(this.#fresh, left);
    this.#fresh ??= left;
    this.#events.idle(fault);
  }
}
