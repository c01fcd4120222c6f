/** The process that keeps a machine: boots it, gives it to one command after the other, and ends it. */
import { existsSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { packageRoot } from '../../base/package.ts';
import { prepare } from '../boot/prepare.ts';
import { LabBusyError } from '../errors.ts';
import { tryLock } from '../lock.ts';
import { removeSnapshot } from '../snapshot/snapshot.ts';
import { startFromSnapshot } from '../snapshot/start.ts';
import { warmFolder } from '../work-folder.ts';
import { KeeperConnection, pidFile, SOCKET, withSocketPath } from './connection.ts';
import { misfits } from './fit.ts';
import { type KeptEvents, KeptProcess, type MachineFault } from './kept-process.ts';
import {
  type Ask,
  type KeeperAnswer,
  type KeeperOptions,
  type KeeperState,
  readAsk,
  type WarmStatus,
} from './protocol.ts';
import type { Message } from './wire.ts';
import { LISTENING } from './words.ts';

/** How often it looks whether it is still wanted, in ms. */
const LOOK = 5000;
/** How long a machine may take to be ready again after a command, in ms. */
const TIDY = 120_000;

/** Keeps a machine until it is told to end, nobody has used it for long, or what it was started from is gone. */
export async function keepMachine(json: string): Promise<number> {
  const options = JSON.parse(json) as KeeperOptions;
  const dir = warmFolder(options.lane);
  const lock = dir === undefined ? undefined : await tryLock(dir);
  if (dir === undefined || !lock)
    throw new LabBusyError(`another process keeps a ${options.lane} machine already`, { advice: 'Use that one.' });
  return new Keeper(options, dir).keep();
}

class Keeper {
  readonly #options: KeeperOptions;
  readonly #dir: string;
  readonly #server = createServer((socket) => this.#meet(new KeeperConnection(socket)));
  #machine: KeptProcess | null = null;
  #state: KeeperState = 'booting';
  /** Whose turn it is. */
  #current: KeeperConnection | null = null;
  /** Who waits for a turn, and who for the end of the boot. */
  #queue: KeeperConnection[] = [];
  #waiting: KeeperConnection[] = [];
  #notes: string[] = [];
  #boots = 0;
  #commands = 0;
  #booted = new Date();
  #idleSince = performance.now();
  #tidying: NodeJS.Timeout | undefined;
  #failure: string | null = null;
  /** The command whose turn it is has ended the machine. */
  #wasKilled = false;
  /** No command has run in the machine. */
  #isUnused = true;
  /** False once one was lost that had gone on from a snapshot, and in which nothing had run. */
  #mayResume = true;
  #end: () => void = () => {};

  constructor(options: KeeperOptions, dir: string) {
    this.#options = options;
    this.#dir = dir;
  }

  async keep(): Promise<number> {
    const over = new Promise<void>((resolve) => {
      this.#end = resolve;
    });
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => this.#end());
    await this.#listen();
    writeFileSync(pidFile(this.#dir), `${process.pid}\n`);
    writeSync(1, `${LISTENING}\n`);
    const own = statSync(join(this.#dir, SOCKET)).ino;
    const look = setInterval(() => this.#look(own), LOOK);
    this.#boot();
    await over;
    clearInterval(look);
    this.#server.close();
    await this.#machine?.end();
    // It may be another's by now.
    if (statSync(join(this.#dir, SOCKET), { throwIfNoEntry: false })?.ino === own)
      for (const path of [join(this.#dir, SOCKET), pidFile(this.#dir)]) rmSync(path, { force: true });
    return 0;
  }

  #listen(): Promise<void> {
    rmSync(join(this.#dir, SOCKET), { force: true });
    return withSocketPath(
      this.#dir,
      (path, done) =>
        new Promise((resolve, reject) => {
          this.#server.once('error', reject);
          this.#server.once('close', done);
          this.#server.listen(path, resolve);
        }),
    );
  }

  /** Nobody has wanted it for long, or there is nobody any more who could: its folder or its package is gone. */
  #look(own: number): void {
    const idle = this.#state === 'idle' && performance.now() - this.#idleSince > this.#options.idleMinutes * 60_000;
    const isThere = statSync(join(this.#dir, SOCKET), { throwIfNoEntry: false })?.ino === own;
    if (idle || !isThere || !existsSync(join(packageRoot, 'package.json')) || !existsSync(process.argv[1]!))
      this.#end();
    const fault = this.#state === 'busy' ? null : this.#machine?.look();
    if (fault) this.#lost(fault);
  }

  #boot(): void {
    this.#state = 'booting';
    this.#boots += 1;
    const events: KeptEvents = {
      lost: (fault) => this.#lost(fault),
      idle: (fault) => (fault === null ? this.#ready() : this.#bootAgain(fault)),
      bytes: (kind, bytes) => this.#current?.send(kind, bytes),
    };
    this.#start(events).then(
      ({ machine, waits }) => {
        this.#machine = machine;
        this.#isUnused = true;
        this.#booted = new Date();
        if (waits) this.#ready();
      },
      (error: Error) => this.#fail(error.message),
    );
  }

  async #start(events: KeptEvents): Promise<{ machine: KeptProcess; waits: boolean }> {
    const { cmdline, isOwnKernel } = this.#options;
    const parts = { ...(await prepare(this.#options)), isOwnKernel };
    const report = (line: string) => process.stderr.write(`${line}\n`);
    const resumed = this.#mayResume ? await startFromSnapshot(parts, cmdline, events, report) : null;
    if (resumed) return { machine: resumed, waits: true };
    return { machine: await KeptProcess.boot(parts, cmdline, events), waits: false };
  }

  /** The machine has ended, or is of no use any more. */
  #lost({ how, why }: MachineFault): void {
    this.#current?.send('ended', how);
    const snapshot = this.#machine?.resumedFrom ?? null;
    if (snapshot !== null && this.#isUnused) {
      // It would be lost again and again.
      this.#mayResume = false;
      removeSnapshot(snapshot);
    }
    if (this.#state === 'booting') this.#fail(why);
    else this.#bootAgain(this.#wasKilled ? 'the command before it failed in a way that ends a machine' : why);
    this.#wasKilled = false;
  }

  #bootAgain(why: string): void {
    clearTimeout(this.#tidying);
    this.#current = null;
    this.#notes.push(`the warm ${this.#options.lane} machine was booted again: ${why}`);
    const old = this.#machine;
    this.#machine = null;
    this.#state = 'booting';
    Promise.resolve(old?.end()).then(() => this.#boot());
  }

  /** It does not boot: who waits is told, and the process ends. */
  #fail(why: string): void {
    this.#failure = why;
    process.stderr.write(`${why}\n`);
    for (const connection of [...this.#queue, ...this.#waiting]) {
      answer(connection, { type: 'failed', message: why });
      connection.end();
    }
    this.#end();
  }

  #ready(): void {
    clearTimeout(this.#tidying);
    this.#state = 'idle';
    this.#idleSince = performance.now();
    for (const connection of this.#waiting.splice(0)) answer(connection, { type: 'status', status: this.#status() });
    const next = this.#queue.shift();
    if (next) this.#give(next);
  }

  #meet(connection: KeeperConnection): void {
    connection.closed.then(() => this.#left(connection));
    connection.listen((message) => {
      if (message.kind === 'ask') this.#asked(connection, readAsk(message.data));
      else if (connection === this.#current) this.#serve(message);
      else connection.destroy();
    });
  }

  #asked(connection: KeeperConnection, asked: Ask | string): void {
    if (typeof asked === 'string') {
      answer(connection, { type: 'refused', why: asked });
      return void connection.end();
    }
    if (asked.want === 'down') return void this.#end();
    if (asked.want === 'status') return void answer(connection, { type: 'status', status: this.#status() });
    if (this.#failure !== null) return void answer(connection, { type: 'failed', message: this.#failure });
    const machine = this.#machine;
    if (asked.want === 'wait') {
      if (this.#state !== 'booting') return void answer(connection, { type: 'status', status: this.#status() });
      this.#waiting.push(connection);
      return void answer(connection, { type: 'queued', state: this.#state });
    }
    const fit = machine?.fit;
    if (fit && asked.fit && misfits(fit, asked.fit).length > 0)
      return void answer(connection, { type: 'misfit', fit, status: this.#status() });
    if (this.#state === 'idle') return void this.#give(connection);
    this.#queue.push(connection);
    answer(connection, { type: 'queued', state: this.#state });
  }

  #give(connection: KeeperConnection): void {
    const machine = this.#machine!;
    this.#current = connection;
    this.#state = 'busy';
    this.#isUnused = false;
    this.#commands += 1;
    answer(connection, { type: 'turn', turn: { ...machine.turn(), notes: this.#notes.splice(0) } });
  }

  /** What a command sends whose turn it is. */
  #serve({ kind, data }: Message): void {
    const machine = this.#machine!;
    if (kind === 'archive') machine.bring(data);
    else if (kind === 'begin') machine.begin(data);
    else if (kind === 'kill') {
      this.#wasKilled = true;
      machine.kill();
    } else if (kind === 'done') {
      this.#current = null;
      this.#state = 'tidying';
      this.#tidying = setTimeout(() => this.#bootAgain('it was not ready again in time'), TIDY);
    }
  }

  #left(connection: KeeperConnection): void {
    this.#queue = this.#queue.filter((other) => other !== connection);
    this.#waiting = this.#waiting.filter((other) => other !== connection);
    if (connection === this.#current) this.#bootAgain('a command was broken off');
  }

  #status(): WarmStatus {
    const { kernel, cmdline = '', idleMinutes } = this.#options;
    return {
      pid: process.pid,
      emulatorPid: this.#machine?.pid ?? null,
      state: this.#state,
      booted: this.#booted.toISOString(),
      boots: this.#boots,
      commands: this.#commands,
      idleMinutes,
      kernel,
      cmdline,
      emulator: this.#machine?.emulator ?? '',
    };
  }
}

function answer(connection: KeeperConnection, what: KeeperAnswer): void {
  connection.send('answer', JSON.stringify(what));
}
