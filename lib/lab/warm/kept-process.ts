/** The machine that a keeper keeps: its boot, its words, and what each command leaves in it. */
import { closeSync, openSync, writeSync } from 'node:fs';
import type { Duplex } from 'node:stream';
import { printable } from '../../base/text.ts';
import { ConsoleReader } from '../boot/console.ts';
import type { EmulatorProcess } from '../boot/emulator-process.ts';
import { kernelCommandLine } from '../boot/kernel-command-line.ts';
import { defaultLimits } from '../boot/limits.ts';
import { type Mark, Marks } from '../boot/marks.ts';
import type { Parts } from '../boot/prepare.ts';
import { type Started, startMachine } from '../boot/start-machine.ts';
import { Watch } from '../boot/watch.ts';
import { jobUnit } from '../disk/init.ts';
import { makeInitramfs } from '../disk/initramfs.ts';
import { LabBootError } from '../errors.ts';
import type { JobDisk, MachineState } from '../lanes/lane.ts';
import type { BootedSnapshot } from '../snapshot/snapshot.ts';
import { byMonitor } from './by-monitor.ts';
import type { Fit } from './fit.ts';
import { faultOf, type Left, readLeft } from './left.ts';
import { fitOf, type Turn } from './protocol.ts';
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
  /** The folder of the state that it goes on from; null if it was booted. */
  readonly resumedFrom: string | null;
  readonly #machine: EmulatorProcess;
  readonly #started: Started;
  readonly #state: MachineState | null;
  readonly #jobDisk: JobDisk;
  readonly #events: KeptEvents;
  readonly #marks: Marks;
  readonly #console: ConsoleReader;
  readonly #watch: Watch;
  #input: Duplex | undefined;
  #uptime = 0;
  /** As it was after the boot. */
  #fresh: Left | null = null;
  /** As it said when it last waited for a command. */
  #left = '';
  /** The kernel has reported that it is broken. */
  #reported: string | null = null;
  /** Where the last command's files end on the disk. */
  #used = 0;
  /** It runs. While its state is being loaded it has not begun to: who waits for that is told of its end, and nobody else. */
  #goesOn = true;
  #isEnding = false;
  /** Its clock is as it was when its state was saved. */
  #hasOldClock = false;

  /** Boots one. @param save the folder in which its state is to be saved */
  static async boot(parts: Parts, extra: string | undefined, events: KeptEvents, save?: string): Promise<KeptProcess> {
    const marks = new Marks();
    const command = { serve: parts.lane.jobDevice, env: parts.env };
    const initramfs = makeInitramfs({ links: parts.medium.links, secrets: marks.file, command });
    const cmdline = kernelCommandLine(parts.lane, parts.emulator, extra, false);
    const state = save === undefined ? undefined : { use: 'save' as const, dir: save };
    const started = await startMachine(parts, initramfs, cmdline, () => {}, { serves: true, state });
    return new KeptProcess(parts, extra, started, marks, events);
  }

  /**
   * Starts one from the state that another had when it first waited for a command; resolves when it goes on from there.
   * Throws a LabError if it does not.
   */
  static async resume(
    parts: Parts,
    extra: string | undefined,
    events: KeptEvents,
    { dir, secrets, uptime, left }: BootedSnapshot,
    signal?: AbortSignal,
  ): Promise<KeptProcess> {
    const { lane, emulator } = parts;
    const cmdline = kernelCommandLine(lane, emulator, extra, false);
    const state = { use: 'load' as const, dir };
    const started = await startMachine(parts, Buffer.alloc(0), cmdline, () => {}, { serves: true, state });
    const marks = new Marks(secrets);
    const kept = new KeptProcess(parts, extra, started, marks, events, { dir, uptime, left: readLeft(left) });
    try {
      await byMonitor(started, (socket) => lane.state!.load(socket), signal);
    } catch (error) {
      await kept.end();
      throw error;
    }
    kept.#goesOn = true;
    return kept;
  }

  private constructor(
    parts: Parts,
    extra: string | undefined,
    started: Started,
    marks: Marks,
    events: KeptEvents,
    resumed?: { dir: string; uptime: number; left: Left },
  ) {
    this.fit = fitOf(parts, extra);
    this.#state = parts.lane.state;
    this.resumedFrom = resumed?.dir ?? null;
    this.#started = started;
    this.#machine = started.machine;
    this.#jobDisk = started.jobDisk!;
    this.#events = events;
    this.#marks = marks;
    // Other words behind the marker are a command's.
    this.#console = new ConsoleReader(marks, () => true);
    this.#watch = new Watch(this.#machine.pid, defaultLimits, undefined, resumed?.uptime);
    if (resumed) {
      this.#uptime = resumed.uptime;
      this.#fresh = resumed.left;
      this.#hasOldClock = true;
      this.#goesOn = false;
    }
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
    if (words === undefined) return;
    const now = this.#hasOldClock ? ` ${Math.floor(Date.now() / 1000)}` : '';
    this.#hasOldClock = false;
    this.#input?.write(`${this.#jobDisk.offset / jobUnit} ${words.trimEnd()}${now}\n`);
  }

  /**
   * Writes the state of a machine that was booted for that, and waits for its first command; it stands still then. Throws a
   * LabError if it cannot be had.
   */
  async save(signal?: AbortSignal): Promise<Omit<BootedSnapshot, 'dir'>> {
    const facts = { secrets: this.#marks.all, uptime: this.#uptime, left: this.#left };
    await byMonitor(this.#started, (socket) => this.#state!.save(socket), signal);
    return facts;
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
    if (this.#goesOn && !this.#isEnding) this.#events.lost(fault);
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
    this.#left = rest;
    const left = readLeft(rest);
    const fault = this.#reported ? `its kernel reported: ${this.#reported}` : this.#fresh && faultOf(this.#fresh, left);
    this.#fresh ??= left;
    this.#events.idle(fault);
  }
}
