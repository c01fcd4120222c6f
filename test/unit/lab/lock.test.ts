/** The lab's lock, between processes. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';
import { cleanLab, labStatus } from '../../../lib/lab/index.ts';
import { lock, tryLock } from '../../../lib/lab/lock.ts';
import { lockFile } from '../../../lib/lab/paths.ts';
import { root } from '../../support/command.ts';

process.env.XDG_CACHE_HOME = mkdtempSync(join(tmpdir(), 'kvm-dsm-test-'));
after(() => rmSync(process.env.XDG_CACHE_HOME ?? '', { recursive: true, force: true }));

const limit = { timeout: 240_000 };

const holder = `
  import { lock } from './lib/lab/lock.ts';
  import { lockFile } from './lib/lab/paths.ts';
  await lock(lockFile(), () => console.log('waiting'));
  console.log('held');
  setInterval(() => {}, 1000);
`;

function startHolder() {
  const args = ['--import', 'tsx', '--input-type=module', '--eval', holder];
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
  return { child, lines: createInterface(child.stdout) };
}

test(
  'only one process holds the lock; the next one waits, says so, and has it when the first is killed',
  limit,
  async (t) => {
    const first = startHolder();
    t.after(() => first.child.kill('SIGKILL'));
    assert.deepEqual(await once(first.lines, 'line'), ['held']);
    assert.equal(await tryLock(lockFile()), undefined);
    assert.equal((await labStatus()).building, true);
    await assert.rejects(cleanLab(), { code: 'ERR_LAB_BUSY' });

    const second = startHolder();
    t.after(() => second.child.kill('SIGKILL'));
    assert.deepEqual(await once(second.lines, 'line'), ['waiting']);
    first.child.kill('SIGKILL');
    assert.deepEqual(await once(second.lines, 'line'), ['held']);
  },
);

test('a released lock is free at once, for the same process as well', limit, async () => {
  // The holder that the test before killed may still be going.
  await (await lock(lockFile(), () => {})).release();
  for (let round = 0; round < 3; round++) {
    const held = await tryLock(lockFile());
    assert.ok(held, `round ${round}`);
    await held.release();
  }
});

test('lab status takes no lock', limit, async () => {
  const held = await tryLock(lockFile());
  assert.equal((await labStatus()).building, true);
  await held?.release();
  // A status beside each attempt: one that locked would now and then be in the way.
  for (let round = 0; round < 6; round++) {
    const [status, free] = await Promise.all([labStatus(), tryLock(lockFile())]);
    assert.ok(free, `round ${round}: ${status.building}`);
    await free.release();
  }
});

test('waiting for the lock can be aborted', limit, async () => {
  const held = await tryLock(lockFile());
  const abort = new AbortController();
  await assert.rejects(
    lock(lockFile(), () => abort.abort(), abort.signal),
    { code: 'ERR_LAB_INTERRUPTED' },
  );
  await held?.release();
  const free = await tryLock(lockFile());
  assert.ok(free);
  await free.release();
});
