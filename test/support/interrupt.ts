/** Commands that a signal ends, and what they leave behind. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { root } from './command.ts';

/** A command that has come to its end. */
export interface Interrupted {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** When the signals are sent. */
export interface Interruption {
  signal: 'SIGINT' | 'SIGTERM';
  /** What the command has said, or what is there of it, when it is time. */
  when: RegExp | ((own: OwnPlace) => boolean);
  /** `twice`: two of them at a time; `always`: over and over, until the command has ended. */
  again?: 'twice' | 'always';
  /** Beside the usual environment, in which each machine boots. */
  env?: NodeJS.ProcessEnv;
}

/** The folders of one command: what has them in its environment was started by it. */
export interface OwnPlace {
  tmp: string;
  session: string;
}

/** How long a command may take until it is time, and from then to its end. */
const DEADLINE = 120_000;

/**
 * Runs the built command in a process group of its own and sends the signal to all of it, as a terminal does. Asserts that
 * nothing is left of it: no process, no temporary folder.
 */
export async function interrupted(args: readonly string[], how: Interruption): Promise<Interrupted> {
  const own = {
    tmp: mkdtempSync(join(tmpdir(), 'kvm-dsm-int-')),
    session: mkdtempSync(join(tmpdir(), 'kvm-dsm-int-')),
  };
  chmodSync(own.session, 0o700);
  const child = spawn(process.execPath, [`${root}dist/cli/main.js`, ...args], {
    cwd: root,
    env: {
      ...process.env,
      NODE_OPTIONS: '',
      KVM_DSM_LAB_SNAPSHOT: '0',
      TMPDIR: own.tmp,
      XDG_RUNTIME_DIR: own.session,
      ...how.env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  try {
    const ended = await endOf(child, how, own);
    await gone(own);
    assert.deepEqual(readdirSync(own.tmp), [], 'no temporary file is left');
    assert.deepEqual(foldersOf(own), [], "no run's folder is left");
    return ended;
  } finally {
    for (const pid of processesOf(own)) process.kill(pid, 'SIGKILL');
    for (const dir of [own.tmp, own.session]) rmSync(dir, { recursive: true, force: true });
  }
}

/** The folders that machines of the command run in. */
export function foldersOf({ session }: OwnPlace): string[] {
  try {
    return readdirSync(join(session, 'kvm-dsm')).filter((name) => name.startsWith('run-'));
  } catch {
    return [];
  }
}

/** The command's processes whose arguments fit. */
export function processesOf({ tmp }: OwnPlace, args = /./): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const environ = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
        return environ.includes(`TMPDIR=${tmp}`) && args.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8'));
      } catch {
        return false; // it has ended meanwhile, or is another user's
      }
    })
    .map(Number);
}

/** True when the command's emulator is there. */
export const emulates = (own: OwnPlace): boolean => processesOf(own, /^[^\0]*(qemu-system|bochs)/).length > 0;

async function endOf(child: ChildProcess, { signal, when, again }: Interruption, own: OwnPlace): Promise<Interrupted> {
  const said = { stdout: '', stderr: '' };
  let isOver = false;
  const closed = new Promise<number | null>((resolve) => {
    child.once('close', (code) => {
      isOver = true;
      resolve(code);
    });
  });
  for (const name of ['stdout', 'stderr'] as const)
    child[name]!.setEncoding('utf8').on('data', (text: string) => {
      said[name] += text;
    });
  const isTime = () => (typeof when === 'function' ? when(own) : when.test(said.stdout + said.stderr));
  const words = () => `${said.stdout}\n${said.stderr}`;
  const ends = performance.now() + DEADLINE;
  for (let sent = false; !isOver; await delay(10)) {
    assert.ok(performance.now() < ends, `it does not end: ${words()}`);
    if (!(sent ? again === 'always' : isTime())) continue;
    sent = true;
    try {
      for (let left = again === 'twice' ? 2 : 1; left > 0; left--) process.kill(-child.pid!, signal);
    } catch {
      // It has ended this very moment.
    }
  }
  const code = await closed;
  assert.ok(isTime() || typeof when === 'function', `it ended before it was time: ${words()}`);
  return { code, ...said };
}

/** What was ended has to end: a moment later, by the kernel's doing. */
async function gone(own: OwnPlace): Promise<void> {
  for (const ends = performance.now() + 10_000; ; await delay(20)) {
    const left = processesOf(own);
    if (left.length === 0) return;
    assert.ok(performance.now() < ends, `left behind: ${left.map(argumentsOf).join('; ')}`);
  }
}

function argumentsOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return `${pid}`;
  }
}
