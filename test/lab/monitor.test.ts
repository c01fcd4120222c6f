/** QEMU's monitor, asked by what saves and loads a machine's state: what it refuses is an error, and nothing else. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { describe, test } from 'node:test';
import { type Line, openLine } from '../../lib/lab/boot/lines.ts';
import { LabEmulatorError } from '../../lib/lab/errors.ts';
import { findEmulator } from '../../lib/lab/lanes/find-emulator.ts';
import { laneNamed } from '../../lib/lab/lanes/index.ts';
import { qemuState } from '../../lib/lab/lanes/qemu-monitor.ts';
import { labMissing } from '../support/lab.ts';
import { testFolder } from '../support/test-folder.ts';

const work = testFolder();

/** A QEMU without a machine, which can do what its monitor can. */
async function start(): Promise<{ qemu: ChildProcess; monitor: Line }> {
  const dir = mkdtempSync(join(work, 'run-'));
  const monitor = await openLine(dir, 'monitor', 'unix', () => {});
  const none = ['-machine', 'none', '-nodefaults', '-display', 'none'];
  const qmp = ['-chardev', 'socket,id=monitor,path=monitor', '-mon', 'chardev=monitor,mode=control'];
  const qemu = spawn(findEmulator(laneNamed('svm')).path, [...none, ...qmp], {
    cwd: dir,
    stdio: 'ignore',
    timeout: 60_000,
    killSignal: 'SIGKILL',
  });
  return { qemu, monitor };
}

/** How it fails; its process is ended after that, which nobody waits for any more. */
async function failureOf(ask: (socket: Duplex, qemu: ChildProcess) => Promise<unknown>): Promise<string> {
  const { qemu, monitor } = await start();
  const socket = await monitor.connected;
  // Not by once(), which an error of the connection's would end.
  const closed = new Promise((resolve) => socket.once('close', resolve));
  const gone = Promise.all([once(qemu, 'exit'), closed]);
  const error = await ask(socket, qemu).then(
    () => assert.fail('it succeeded'),
    (error: unknown) => error,
  );
  qemu.kill('SIGKILL');
  await gone;
  assert.ok(error instanceof LabEmulatorError, String(error));
  return error.message;
}

describe("QEMU's monitor", { skip: labMissing(), timeout: 120_000 }, () => {
  test('refuses to load a state where none was announced, and may end after that', async () => {
    const message = await failureOf((socket) => qemuState.load(socket));
    assert.match(message, /migrate-incoming: .*-incoming/);
  });

  test('that ends while it is asked is an error', async () => {
    const message = await failureOf((socket, qemu) => {
      qemu.kill('SIGKILL');
      return qemuState.save(socket);
    });
    assert.match(message, /QEMU's monitor: it ended/);
  });
});
