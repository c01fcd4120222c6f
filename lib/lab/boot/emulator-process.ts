/** A machine that this process starts: an emulator, which ends when this process does. */
import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import type { Emulator, Invocation } from '../lanes/lane.ts';
import { spawnBound } from '../process.ts';
import type { Line } from './lines.ts';
import type { LabMachine } from './machine.ts';
import { dropScreen } from './screen.ts';

export class EmulatorProcess implements LabMachine {
  readonly uptime = null;
  readonly emulator: Emulator;
  readonly dir: string;
  readonly lines: readonly [Line, Line, Line];
  readonly ended: Promise<string>;
  readonly #child: ChildProcess;
  #screen: { close(): void } | undefined;

  /** @param dir the run's folder, in which it works */
  constructor(emulator: Emulator, invocation: Invocation, dir: string, lines: readonly [Line, Line, Line]) {
    this.emulator = emulator;
    this.dir = dir;
    this.lines = lines;
    const log = openSync(join(dir, 'output.log'), 'w');
    this.#child = spawnBound(emulator.path, invocation.args, {
      cwd: dir,
      env: invocation.env,
      stdio: ['ignore', 'ignore', log],
      // Ctrl-C at the terminal is for us alone.
      detached: true,
    });
    closeSync(log);
    this.ended = new Promise<string>((resolve) => {
      this.#child.once('error', (error) => resolve(error.message));
      this.#child.once('exit', (code, signal) => resolve(signal ? `signal ${signal}` : `exit code ${code}`));
    });
    this.ended.then(() => this.#screen?.close());
    if (this.pid !== undefined) for (const line of lines) line.expect(this.pid);
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** It has its terminal by now. */
  booted(): void {
    if (this.pid !== undefined) this.#screen ??= dropScreen(this.pid);
  }

  /** All output has left the machine: its shutdown is of no use. */
  finish(): void {
    this.kill();
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}
