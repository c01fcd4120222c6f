/** `kvm-dsm node` of a test: one shard of a machine, in a lab machine of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { jsonLines, root } from './command.ts';

export interface ShardOptions {
  readonly script: string;
  /** Of the script. */
  readonly args: readonly string[];
  /** Such as `0,1`. */
  readonly vcpus: string;
  /** How many the machine has. */
  readonly of: number;
  /** Of the nats-server. */
  readonly url: string;
  /** In seconds: for the other shards to come, and for all of it. */
  readonly deadline?: number;
  readonly timeout?: number;
  /** Other words of the command. */
  readonly more?: readonly string[];
}

export class ShardProcess {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  /** Its standard output: a JSON object a line. */
  text = '';
  errors = '';
  #look = () => {};
  #hasEnded = false;

  constructor({ script, args, vcpus, of, url, deadline = 200, timeout = 280, more = [] }: ShardOptions) {
    const machine = ['node', script, '--vcpus', vcpus, '--of', String(of), '--nats', url, '--vm', 'lab-test'];
    const limits = ['--deadline', String(deadline), '--timeout', String(timeout)];
    const command = [`${root}dist/cli/main.js`, ...machine, '--on', 'svm', '--json', ...limits, ...more, '--', ...args];
    this.#child = spawn(process.execPath, command, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child.stdout!.setEncoding('utf8').on('data', (more: string) => {
      this.text += more;
      this.#look();
    });
    this.#child.stderr!.setEncoding('utf8').on('data', (more: string) => {
      this.errors += more;
    });
    this.#ended = once(this.#child, 'close').then(() => {
      this.#hasEnded = true;
      this.#look();
    });
  }

  /** What its script has written: the lab's line brings that in pieces. */
  get said(): string {
    const whole = jsonLines(this.text.slice(0, this.text.lastIndexOf('\n') + 1));
    return whole.map(({ type, text }) => (type === 'stdout' ? String(text) : '')).join('');
  }

  /** Until its output says so. */
  says(words: RegExp, where: 'text' | 'said' = 'text'): Promise<string> {
    return this.until(() => words.exec(this[where])?.[0]);
  }

  /** Until this finds something, which is asked whenever there is more output. */
  async until<T>(find: () => T | undefined): Promise<T> {
    for (;;) {
      const found = find();
      if (found !== undefined) return found;
      if (this.#hasEnded) throw new Error(`it has ended: ${this.text.slice(-3000)}${this.errors}`);
      await new Promise<void>((resolve) => {
        this.#look = resolve;
      });
    }
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  async end(): Promise<number | null> {
    await this.#ended;
    return this.#child.exitCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill();
    await this.#ended;
  }
}
