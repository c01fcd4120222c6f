// One side of a comparison: a process that takes a line `case count` and answers with what that took.
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Block } from './cases/case.ts';

/** Of one block, in ms. */
const DEADLINE = 120_000;

export class Side implements Disposable {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;
  readonly #what: string;
  #errors = '';

  constructor(command: readonly string[], environment: NodeJS.ProcessEnv = {}) {
    const [program, ...args] = command as [string, ...string[]];
    this.#what = command.slice(0, 3).join(' ');
    this.#child = spawn(program, args, { env: { ...process.env, ...environment } });
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#errors += text;
    });
    this.#child.stdin.on('error', () => {});
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** Null if this side has no such case. */
  async block(name: string, count: number): Promise<Block | null> {
    this.#child.stdin.write(`${name} ${count}\n`);
    const late = setTimeout(() => this.#child.kill(), DEADLINE);
    const { value, done } = await this.#lines.next();
    clearTimeout(late);
    if (done) throw new Error(`${this.#what} ended in ${name}:\n${this.#errors}`);
    if (value === '-') return null;
    const [wall, cpu, counted] = value.split(' ').map(Number) as [number, number, number];
    if (!(wall > 0 && counted > 0)) throw new Error(`${this.#what} said of ${name}: ${value}`);
    return { wall, cpu, count: counted };
  }

  [Symbol.dispose](): void {
    this.#child.kill();
  }
}
