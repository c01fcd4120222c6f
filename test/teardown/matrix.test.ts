import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { noKvm } from '../support/host.ts';

const child = fileURLToPath(new URL('child.ts', import.meta.url));
/** A case takes about a second; what takes this long hangs. */
const DEADLINE = 30_000;

const states = ['idle', 'running', 'hlt', 'handler', 'paused', 'recording'];
const ends: Record<string, { status: number; stderr?: RegExp }> = {
  close: { status: 0 },
  exit: { status: 7 },
  throw: { status: 1, stderr: /on purpose/ },
  terminate: { status: 0 },
  nothing: { status: 0 },
  gc: { status: 0 },
};

interface Ended {
  status: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

function run(state: string, end: string): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const process_ = spawn(process.execPath, ['--import', 'tsx', child, state, end], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const out = { stdout: '', stderr: '' };
    for (const stream of ['stdout', 'stderr'] as const)
      process_[stream].setEncoding('utf8').on('data', (text: string) => {
        out[stream] += text;
      });
    const timer = setTimeout(() => process_.kill('SIGKILL'), DEADLINE);
    process_.once('error', reject);
    process_.once('close', (status, signal) => {
      clearTimeout(timer);
      resolve({ status, signal, ...out });
    });
  });
}

for (const state of states) {
  for (const [end, { status, stderr }] of Object.entries(ends)) {
    test(`a vCPU that is ${state}, ended by ${end}`, { skip: noKvm }, async () => {
      const ended = await run(state, end);
      const what = `${state} x ${end}: status ${ended.status}, signal ${ended.signal}\n${ended.stdout}${ended.stderr}`;
      assert.equal(ended.signal, null, ended.signal === 'SIGKILL' ? `it hangs: ${what}` : `it crashed: ${what}`);
      assert.equal(ended.status, status, what);
      assert.equal(ended.stdout, 'ok\n', what);
      if (stderr) assert.match(ended.stderr, stderr);
      else assert.equal(ended.stderr, '', what);
    });
  }
}
