/** One run of a command in a machine, to its end: what comes by the machine's lines, and the watch. */

import type { Duplex } from 'node:stream';
import type { OutputStream } from '../../base/node-shapes.ts';
import { printable } from '../../base/text.ts';
import type { KernelReport } from '../../host/kernel-reports.ts';
import type { Report } from '../progress.ts';
import type { Timings } from '../timings.ts';
import { type ConsoleEvent, ConsoleReader } from './console.ts';
import { type LabFailure, noLine, noMedium, panicked, readerGone, wrongMark } from './failures.ts';
import { judgeRun } from './judgement.ts';
import type { Limits } from './limits.ts';
import type { LabMachine } from './machine.ts';
import type { Mark, Marks } from './marks.ts';
import type { LabStage } from './options.ts';
import { flushed, passOn } from './pass-on.ts';
import { Watch } from './watch.ts';

/** What a run of a command is told, and watched with. */
export interface CommandRunOptions {
  machine: LabMachine;
  stdout: OutputStream;
  stderr: OutputStream;
  /** Called when the command begins, with the line that carries its input. */
  onReady?: ((line: Duplex) => void) | undefined;
  report: Report;
  /** Words of a report while it boots that is no news. */
  bootReport: string | null;
  /** The command reads the kernel's log itself. */
  watchesLog: boolean;
  /** What init says to the host. */
  marks: Marks;
  /** Takes the marks that are not init's; false if one is nobody's. */
  onMark?: ((text: string) => boolean) | undefined;
  onStage?: ((stage: LabStage) => void) | undefined;
  timings?: Timings | undefined;
  clockIsReal: boolean;
  limits: Limits;
  /** The command's own limit; none for a person at a terminal. */
  timeoutSeconds: number | undefined;
}

/** How often the watch looks. */
const WATCH_MS = 250;

export class CommandRun {
  readonly #options: CommandRunOptions;
  readonly #machine: LabMachine;
  readonly #console: ConsoleReader;
  readonly #watch: Watch;
  /** The emulator has come as far as its serial lines. */
  #connected = false;
  #failure: LabFailure | undefined;
  /** The kernel's first report that counts: of a crash, if there is one. */
  #reported: KernelReport | undefined;
  #exitCode: number | undefined;
  #heard = false;

  constructor(options: CommandRunOptions) {
    this.#options = options;
    this.#machine = options.machine;
    this.#console = new ConsoleReader(options.marks, options.onMark);
    this.#watch = new Watch(this.#machine.pid, options.limits, options.timeoutSeconds, this.#machine.uptime);
  }

  /** Waits for the machine's end; answers the command's exit code, or throws what went wrong. */
  async run(): Promise<number> {
    const { stdout, stderr, onReady } = this.#options;
    const { lines, ended, emulator, dir } = this.#machine;
    const outputs = [stdout, stderr];
    // A person at a terminal types in the midst of a line.
    const isAtTerminal = this.#options.timeoutSeconds === undefined;
    const drained = lines.map(async (line, index) => {
      // An emulator that ends early may never connect.
      const socket = await Promise.race([line.connected, ended.then(() => undefined)]);
      if (!socket) return;
      if (index === 0 && !this.#wasUp) this.#options.timings?.ended('emulator');
      this.#connected = true;
      const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
      if (index === 0) socket.on('data', (bytes) => this.#listen(bytes));
      else passOn(socket, outputs[index - 1]!, this.#reading, !isAtTerminal);
      if (index === 1) this.#onReady = () => onReady?.(socket);
      socket.resume();
      await closed;
    });
    const watch = setInterval(() => this.#look(), WATCH_MS);
    try {
      const how = await ended;
      for (const line of lines) line.connected.then((socket) => socket.resume());
      await Promise.all(drained);
      await Promise.all(outputs.map(flushed));
      this.#options.timings?.ended('off');
      return judgeRun({
        how,
        failure: this.#failure,
        reported: this.#reported,
        watchesLog: this.#options.watchesLog,
        exitCode: this.#exitCode,
        connected: this.#connected,
        stage: this.#watch.stage,
        emulator,
        dir,
        log: this.#console.tail(),
      });
    } finally {
      clearInterval(watch);
      for (const line of lines) line.close();
    }
  }

  /** It had booted before this command came. */
  get #wasUp(): boolean {
    return this.#machine.uptime !== null;
  }

  #onReady = () => {};

  readonly #reading = {
    came: () => this.#watch.wrote(),
    gone: () => this.#fail(readerGone()),
  };

  #listen(bytes: Buffer): void {
    if (!this.#heard && !this.#wasUp) {
      this.#heard = true;
      this.#hearFirst(bytes);
    }
    for (const event of this.#console.feed(bytes)) this.#handle(event);
  }

  /** The boot loader has spoken; or the kernel, if there is none that speaks, and told how long it has run. */
  #hearFirst(bytes: Buffer): void {
    const { timings, clockIsReal } = this.#options;
    const up = /^\[ *(\d+\.\d{6})\]/m.exec(bytes.toString('latin1'))?.[1];
    if (up === undefined) timings?.ended('firmware');
    else if (clockIsReal) timings?.ended('firmware', performance.now() - Number(up) * 1000);
  }

  #handle(event: ConsoleEvent): void {
    if (event.type === 'report') this.#hearReport(event.report);
    else if (event.type === 'panic') {
      // The rest of the report is still on its way.
      this.#fail(panicked(event.text), 1000);
    } else if (event.type === 'wrong-mark') this.#fail(wrongMark(event.wrong));
    else this.#mark(event.mark);
  }

  /**
   * A kernel that crashed will not bring the command to its end. What else it reports counts from the command's begin
   * on; before that a person is told, for a kernel may warn of the machine that it finds.
   */
  #hearReport(report: KernelReport): void {
    const early = this.#watch.stage === 'booting' || this.#watch.stage === 'starting';
    if (early && !report.kind.crash) {
      const { bootReport } = this.#options;
      if (bootReport !== null && report.line.includes(bootReport)) return;
      this.#options.report(`the lab's kernel reported ${report.kind.what} while it booted: ${report.line}`);
      return;
    }
    if (!this.#reported || (report.kind.crash && !this.#reported.kind.crash)) this.#reported = report;
    if (report.kind.crash) this.#watch.oopsed();
  }

  #mark({ word, rest }: Mark): void {
    this.#watch.signOfLife();
    switch (word) {
      case 'boot':
        this.#machine.booted();
        this.#options.timings?.ended('kernel');
        this.#watch.enter('starting');
        break;
      case 'alive':
        this.#watch.toldUptime(Number(rest));
        break;
      case 'kvm':
        if (rest === 'no') this.#options.report(`the lab's kernel offers no /dev/kvm${this.#aboutKvm()}`);
        break;
      case 'note':
        this.#options.report(printable(rest));
        break;
      case 'no_medium':
        this.#fail(noMedium(printable(rest)));
        break;
      case 'no_line':
        this.#fail(noLine(rest));
        break;
      case 'ready':
        this.#options.timings?.ended('init');
        this.#options.onStage?.('command');
        this.#watch.enter('running');
        this.#onReady();
        break;
      case 'exit':
        this.#exitCode = Number(rest);
        this.#options.timings?.ended('end');
        this.#options.onStage?.('end');
        this.#watch.enter('ending');
        break;
      case 'bye':
        this.#options.timings?.ended('output');
        this.#watch.enter('over');
        this.#machine.finish();
        break;
    }
  }

  #aboutKvm(): string {
    const said = this.#console.tail(100).filter((line) => /kvm/i.test(line));
    return said.length > 0 ? `: ${said.join('; ')}` : '';
  }

  #look(): void {
    if (this.#failure) return;
    const verdict = this.#watch.check();
    if (verdict === 'end') this.#machine.kill();
    else if (verdict) this.#fail(verdict);
  }

  /** The run has failed: the machine ends, and the log goes into the error when all of it is here. */
  #fail(failure: LabFailure, afterMs = 0): void {
    if (this.#failure) return;
    this.#failure = failure;
    setTimeout(() => this.#machine.kill(), afterMs).unref();
  }
}
