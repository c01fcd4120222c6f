/** Threads of this process that do not get on, whatever they are sent: a debugger has stopped them. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from './command.ts';
import { threads } from './left-behind.ts';

/** Inside the lab: the program, which the host has built; there is no compiler. */
const brought = process.env.KVM_DSM_TEST_HOLD;
const work = mkdtempSync(join(tmpdir(), 'kvm-dsm-hold-'));
process.once('exit', () => rmSync(work, { recursive: true, force: true }));
const program = brought ?? join(work, 'hold-thread');

/** Why threads cannot be held here; false if they can. For a test's `skip`. */
export const noHold: string | false = (() => {
  if (brought === undefined) {
    const built = spawnSync('cc', ['-O1', '-Wall', '-Werror', '-o', program, join(root, 'test/support/hold-thread.c')]);
    if (built.error) return 'no C compiler (cc) here';
    if (built.status !== 0) throw new Error(`cc: ${built.stderr}`);
  } else if (!existsSync(program)) return 'the host has no C compiler (cc)';
  const other = threads().find((tid) => tid !== process.pid);
  const { status, stderr } = spawnSync(program, [String(other)], { input: '', encoding: 'utf8' });
  return status === 0 ? false : `threads cannot be traced here: ${stderr.trim()}`;
})();

/** A thread that is held. It goes on after `release()`, and when this is disposed. */
export interface Held extends AsyncDisposable {
  release(): Promise<void>;
}

/** Keeps a thread of this process from running. */
export async function hold(tid: number): Promise<Held> {
  const child = spawn(program, [String(tid)], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  const first = await Promise.race([once(child.stdout, 'data'), ended]);
  if (String(first[0]) !== 'held\n') throw new Error(`hold-thread ended with ${first}`);
  const release = async () => {
    child.stdin.end();
    await ended;
  };
  return { release, [Symbol.asyncDispose]: release };
}
