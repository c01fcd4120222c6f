import assert from 'node:assert/strict';
import { readdirSync, readlinkSync } from 'node:fs';
import { test } from 'node:test';
import { EventFd, type KvmDsmError } from '../../lib/index.ts';
import { errorOf } from '../support/host.ts';

async function rejection(promise: Promise<unknown>): Promise<KvmDsmError> {
  try {
    await promise;
  } catch (error) {
    return error as KvmDsmError;
  }
  throw new Error('nothing was thrown');
}

test('writes add up, a read takes all, and an empty one is null', () => {
  using event = EventFd.create();
  assert.equal(event.read(), null);
  event.write();
  event.write(41);
  assert.equal(event.read(), 42n);
  assert.equal(event.read(), null);
  event.write((1n << 64n) - 2n);
  assert.equal(event.read(), (1n << 64n) - 2n);
});

test('counts that are none, and a full counter', () => {
  using event = EventFd.create();
  for (const count of [-1, 1.5, Number.NaN, -1n, (1n << 64n) - 1n, 1n << 64n])
    assert.equal(errorOf(() => event.write(count)).code, 'ERR_ARGUMENT', String(count));
  event.write((1n << 64n) - 2n);
  const full = errorOf(() => event.write(1n)) as KvmDsmError & { ioctl?: string; errnoName?: string };
  assert.deepEqual([full.code, full.ioctl, full.errnoName], ['ERR_IOCTL', 'write', 'EAGAIN']);
});

test('a wait ends with a write, before it or after it', async () => {
  using event = EventFd.create();
  event.write(3n);
  assert.equal(await event.wait('5s'), 3n);
  const waiting = event.wait('5s');
  event.write(4n);
  assert.equal(await waiting, 4n);
});

test('a hundred waits at once, each for its own', async () => {
  const events = Array.from({ length: 100 }, () => EventFd.create());
  const waits = events.map((event) => event.wait('10s'));
  for (const [index, event] of [...events.entries()].reverse()) event.write(index + 1);
  assert.deepEqual(
    await Promise.all(waits),
    events.map((_, index) => BigInt(index + 1)),
  );
  for (const event of events) event.close();
});

test('of two waits for one write, one goes on', async () => {
  using event = EventFd.create();
  const waits = [event.wait('10s'), event.wait('10s')];
  event.write(1n);
  assert.equal(await Promise.race(waits), 1n);
  event.write(2n);
  assert.deepEqual((await Promise.all(waits)).toSorted(), [1n, 2n]);
});

test('a wait ends at its deadline', async () => {
  using event = EventFd.create();
  assert.equal((await rejection(event.wait(1))).code, 'ERR_DEADLINE');
  assert.equal((await rejection(event.wait('never' as never))).code, 'ERR_ARGUMENT');
});

test('close ends a wait, and is once', async () => {
  const event = EventFd.create();
  const waiting = rejection(event.wait('10s'));
  event.close();
  event.close();
  assert.equal((await waiting).code, 'ERR_CLOSED');
  assert.equal(event.closed, true);
  for (const use of [() => event.read(), () => event.write(1n), () => event.native])
    assert.equal(errorOf(use).code, 'ERR_CLOSED');
});

/** True if the number is that of an eventfd in this process; what is gone by now is none. */
function isEventFd(fd: string): boolean {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`) === 'anon_inode:[eventfd]';
  } catch {
    return false;
  }
}

test('close() ends a wait at once, and the file is closed by then', async () => {
  const open = () => readdirSync('/proc/self/fd').filter(isEventFd);
  using first = EventFd.create();
  const late = async () => assert.equal((await rejection(first.wait(1))).code, 'ERR_DEADLINE');
  await late();
  const before = open();
  const events = Array.from({ length: 20 }, () => EventFd.create());
  const waits = events.map((event) => rejection(event.wait('600s')));
  // Whatever else of the process opens or closes a file meanwhile.
  const own = open().filter((fd) => !before.includes(fd));
  assert.ok(own.length >= 20, `${own}`);
  // The thread that waits has them all by now.
  await late();
  for (const event of events) event.close();
  const left = open().filter((fd) => own.includes(fd));
  assert.ok(left.length <= own.length - 20, `${left} of ${own}`);
  for (const wait of waits) assert.equal((await wait).code, 'ERR_CLOSED');
});
