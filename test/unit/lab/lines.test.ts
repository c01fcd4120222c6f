/** The serial lines of a machine: who may connect to them. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { openLine } from '../../../lib/lab/boot/lines.ts';
import { asNobody, cannotBeNobody } from '../../support/nobody.ts';
import { testFolder } from '../../support/test-folder.ts';

const dir = testFolder();

/** A process that connects to the port, so many times, and says that word by each connection. */
function caller(t: TestContext, port: number, word: string, times = 1, before: readonly string[] = []): ChildProcess {
  const code = `
    const { connect } = require('node:net');
    for (let left = ${times}; left > 0; left--)
      connect(${port}, '127.0.0.1', function () { this.write('${word}'); console.log('connected'); }).on('error', () => {});
    setInterval(() => {}, 1000);`;
  const [command, ...args] = [...before, process.execPath, '-e', code];
  const child = spawn(command!, args, { stdio: ['ignore', 'pipe', 'inherit'], detached: true });
  t.after(() => process.kill(-child.pid!, 'SIGKILL'));
  return child;
}

/** What is waited for, or an error that says what has not come. */
function soon<T>(what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within 30 s: ${what}`)), 30_000);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

async function firstBytes(line: Awaited<ReturnType<typeof openLine>>): Promise<string> {
  const socket = await soon('the emulator is taken', line.connected);
  const bytes = once(socket, 'data');
  socket.resume();
  return String((await soon('its first bytes', bytes))[0]);
}

const limit = { timeout: 120_000 };

describe('a line on a TCP port', limit, () => {
  test('takes the emulator, and refuses who came before it and who comes with it', async (t) => {
    const told: string[] = [];
    const line = await openLine(dir, 'line1', 'tcp', (text) => told.push(text));
    t.after(() => line.close());
    const early = caller(t, line.port, 'early', 20);
    await soon('the early one has connected', once(early.stdout!, 'data'));
    const emulator = caller(t, line.port, 'emulator');
    line.expect(emulator.pid!);
    caller(t, line.port, 'late', 20);
    assert.equal(await firstBytes(line), 'emulator');
    assert.equal(told.length, 1, 'a flood is told once');
    assert.match(
      told[0]!,
      /^a process of user \d+ that is not the emulator connected to .* serial line1: it was refused$/,
    );
    const again = connect(line.port, '127.0.0.1');
    const [refusal] = await soon('the port is closed', once(again, 'error'));
    assert.equal((refusal as NodeJS.ErrnoException).code, 'ECONNREFUSED');
  });

  test('takes an emulator that a script has started', async (t) => {
    const line = await openLine(dir, 'line1', 'tcp', assert.fail);
    t.after(() => line.close());
    const script = caller(t, line.port, 'emulator', 1, ['sh', '-c', '"$@"; exit $?', 'sh']);
    line.expect(script.pid!);
    assert.equal(await firstBytes(line), 'emulator');
  });

  test('names the user whose process came', { skip: cannotBeNobody }, async (t) => {
    let tell = (_: string) => {};
    const told = new Promise<string>((resolve) => {
      tell = resolve;
    });
    const line = await openLine(dir, 'line2', 'tcp', tell);
    t.after(() => line.close());
    caller(t, line.port, 'stranger', 1, asNobody);
    assert.match(await soon('the stranger is told', told), /^a process of user 65534 /);
  });
});

test('a line in a folder with a long path', limit, async (t) => {
  const long = join(dir, 'a'.repeat(120), 'b'.repeat(120));
  mkdirSync(long, { recursive: true });
  const line = await openLine(long, 'line1', 'unix', assert.fail);
  assert.deepEqual(readdirSync(long), ['line1']);
  const start = `process.chdir(${JSON.stringify(long)}); require('node:net').connect('line1').end('emulator')`;
  const emulator = spawn(process.execPath, ['-e', start], { stdio: 'inherit' });
  t.after(() => emulator.kill('SIGKILL'));
  assert.equal(await firstBytes(line), 'emulator');
  line.close();
});
