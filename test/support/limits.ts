/** Limits of this process, changed while it runs. */
import { spawn, spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Why limits cannot be changed here; false if they can. */
export const noLimits: string | false =
  spawnSync('prlimit', ['--version']).status === 0 ? false : 'there is no prlimit (Debian: util-linux)';

/** As prlimit spells them, and as /proc/self/limits does. */
const names = {
  nofile: 'Max open files',
  nproc: 'Max processes',
  as: 'Max address space',
  sigpending: 'Max pending signals',
} as const;
export type Limit = keyof typeof names;

/** What the limit is now: a number, or `unlimited`. */
function current(limit: Limit): string {
  const line = readFileSync('/proc/self/limits', 'ascii')
    .split('\n')
    .find((one) => one.startsWith(names[limit]))!;
  return line.slice(names[limit].length).trim().split(/ +/)[0]!;
}

/**
 * Sets soft limits by a helper that was started before: a process at its limits can start none. Calls are synchronous.
 */
export class Limits implements Disposable {
  readonly #ask: number;
  readonly #answer: number;
  readonly #before = Object.fromEntries(Object.keys(names).map((name) => [name, current(name as Limit)]));

  constructor() {
    const work = mkdtempSync(join(tmpdir(), 'limits-'));
    const [ask, answer] = [join(work, 'ask'), join(work, 'answer')];
    spawnSync('mkfifo', [ask, answer]);
    const script = 'exec <"$1" >"$2"; while read -r what; do prlimit --pid "$0" "--$what" && echo ok || echo no; done';
    spawn('sh', ['-c', script, String(process.pid), ask, answer], { stdio: ['ignore', 'ignore', 'inherit'] }).unref();
    this.#ask = openSync(ask, 'w');
    this.#answer = openSync(answer, 'r');
    rmSync(work, { recursive: true });
  }

  /** `null`: as it was. */
  set(limit: Limit, value: number | null): void {
    writeSync(this.#ask, `${limit}=${value ?? this.#before[limit]}:\n`);
    const answer = Buffer.alloc(16);
    const text = answer.toString('ascii', 0, readSync(this.#answer, answer));
    if (text !== 'ok\n') throw new Error(`prlimit --${limit}=${value}: ${text}`);
  }

  [Symbol.dispose](): void {
    closeSync(this.#ask);
    closeSync(this.#answer);
  }
}
