import { spawn } from 'node:child_process';
import { loaderArgs } from './library.ts';

/** How a process of its own came to its end. */
export interface Ended {
  status: number | null;
  /** SIGKILL is its deadline's. */
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** Runs a program of the tests in a process of its own, which is killed when `deadline` milliseconds are over. */
export function runChild(file: string, args: readonly string[], deadline: number): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...loaderArgs, file, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    const out = { stdout: '', stderr: '' };
    for (const stream of ['stdout', 'stderr'] as const)
      child[stream].setEncoding('utf8').on('data', (text: string) => {
        out[stream] += text;
      });
    const timer = setTimeout(() => child.kill('SIGKILL'), deadline);
    child.once('error', reject);
    child.once('close', (status, signal) => {
      clearTimeout(timer);
      resolve({ status, signal, ...out });
    });
  });
}
