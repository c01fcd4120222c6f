/** No emulator outlives its command. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readlinkSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { runInLab } from '../../lib/lab/index.ts';
import { root } from '../support/command.ts';
import { labMissing } from '../support/lab.ts';
import { emulatorsOf, isRunning, script } from './boot.ts';

const skip = labMissing();

const parent = `
  import { runInLab } from './lib/lab/index.ts';
  await runInLab({
    lane: process.env.TEST_LANE,
    program: ['/bin/busybox', 'sh', '-c', 'echo running; cat /lab/never'],
    argv: [],
    stdout: process.stdout,
    stderr: process.stderr,
  });
`;

/** A process whose guest is running a command that never ends. */
async function startParent(t: TestContext, lane: string): Promise<ChildProcess & { pid: number }> {
  const args = ['--import', 'tsx', '--input-type=module', '--eval', parent];
  const child = spawn(process.execPath, args, {
    cwd: root,
    env: { ...process.env, TEST_LANE: lane },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  assert.ok(child.pid && child.stdout);
  const lines = createInterface(child.stdout);
  const [first] = await Promise.race([once(lines, 'line'), once(child, 'exit')]);
  assert.equal(first, 'running');
  return child as ChildProcess & { pid: number };
}

/** Waits until a condition holds; a test's own timeout ends a wait that is in vain. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await delay(20);
}

describe('no emulator outlives its command', { skip, concurrency: 2, timeout: 300_000 }, () => {
  for (const [lane, signal] of [
    ['vmx', 'SIGINT'],
    ['svm', 'SIGTERM'],
    ['vmx', 'SIGKILL'],
    ['svm', 'SIGKILL'],
  ] as const) {
    test(`${lane}: ${signal}`, { timeout: 120_000 }, async (t) => {
      const child = await startParent(t, lane);
      const emulators = emulatorsOf(child.pid);
      assert.equal(emulators.length, 1);
      const folder = readlinkSync(`/proc/${emulators[0]}/cwd`);
      assert.match(folder, /\/run-[^/]*$/);
      child.kill(signal);
      const [code, by] = await once(child, 'exit');
      assert.deepEqual([code, by], [null, signal], 'the signal ends the command as it would have');
      await until(() => !emulators.some(isRunning));
      if (signal !== 'SIGKILL') {
        assert.ok(!existsSync(folder), 'its files are gone');
        return;
      }
      // Nobody of the command was left to remove its files: the next run does, of this test or of one beside it.
      await runInLab(script('svm', 'true'));
      assert.ok(!existsSync(folder), 'the next run removed its files');
    });
  }
});
