/** Cases that might end their process, several in one: starting node takes seconds in an emulator. */
import assert from 'node:assert/strict';
import { type Ended, runChild } from './child.ts';

/** Runs cases in the order in which they are asked for. */
export class ChildCases {
  readonly #file: string;
  readonly #names: readonly string[];
  readonly #deadline: number;
  #running: { from: number; ended: Promise<Ended> } | undefined;

  /**
   * @param file a program that takes names of cases and writes `ok <case>`, or `skip <case>: <why>`, for each
   * @param names all of them
   * @param deadline for them all, in ms
   */
  constructor(file: string, names: readonly string[], deadline: number) {
    this.#file = file;
    this.#names = names;
    this.#deadline = deadline;
  }

  /**
   * Waits for a case. The cases behind one that ended the process go on in another.
   *
   * @returns why it was left out, or null; rejects by what it was, or what became of the process
   */
  async result(name: string): Promise<string | null> {
    const index = this.#names.indexOf(name);
    this.#running ??= { from: index, ended: runChild(this.#file, this.#names.slice(index), this.#deadline) };
    const { status, signal, stdout, stderr } = await this.#running.ended;
    const line = stdout.split('\n')[index - this.#running.from];
    // What the process says besides, and how it ends when all is done, is the last one's.
    const isWell = index < this.#names.length - 1 || (status === 0 && stderr === '');
    if (isWell && line === `ok ${name}`) return null;
    const skipped = `skip ${name}: `;
    if (isWell && line?.startsWith(skipped)) return line.slice(skipped.length);
    this.#running = undefined;
    const what = `${name}: status ${status}, signal ${signal}\n${stdout}${stderr}`;
    return assert.fail(signal === null ? what : `${signal === 'SIGKILL' ? 'it hangs' : 'it crashed'}: ${what}`);
  }
}
