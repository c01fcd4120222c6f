/** A machine that stays: commands run in it, one after the other, and it is booted again when it is not as it was. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { jsonLines, root } from '../support/command.ts';
import { labMissing } from '../support/lab.ts';
import { isRunning } from './boot.ts';

const SECONDS = 240;

/** A copy of the package whose files may be changed, and a folder for its machines alone. */
const place = mkdtempSync(join(tmpdir(), 'kvm-dsm-warm-'));
const copy = join(place, 'package');
const session = mkdtempSync(join(place, 'session-'));

function copyPackage(): void {
  for (const name of ['dist', 'kernel'])
    cpSync(join(root, name), join(copy, name), { recursive: true, preserveTimestamps: true });
  for (const name of ['package.json', 'examples']) cpSync(join(root, name), join(copy, name), { recursive: true });
  for (const name of ['node_modules', 'build', 'prebuilds']) symlinkSync(join(root, name), join(copy, name));
}

function start(...args: string[]): ChildProcess {
  const env = { ...process.env, NODE_OPTIONS: '', KVM_DSM_LAB_SNAPSHOT: '0', XDG_RUNTIME_DIR: session };
  return spawn(process.execPath, [join(copy, 'dist/cli/main.js'), ...args], {
    cwd: copy,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: SECONDS * 1000,
  });
}

async function kvmDsm(...args: string[]) {
  const child = start(...args);
  const out = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    child[name]!.setEncoding('utf8').on('data', (text: string) => {
      out[name] += text;
    });
  const [code] = await once(child, 'close');
  return { code: code as number | null, ...out };
}

const inside = (...words: string[]) => kvmDsm('lab', 'exec', '--on', 'svm', '--', ...words);

/** `lab exec` of something harmless, and what the command was told of the machine. */
async function next() {
  const { code, stdout, stderr } = await inside('echo', 'here');
  assert.deepEqual([code, stdout], [0, 'here\n'], stderr);
  return stderr;
}

interface Up {
  pid: number;
  emulatorPid: number;
  boots: number;
  commands: number;
}

async function status(): Promise<Up | null> {
  const { code, stdout, stderr } = await kvmDsm('lab', 'status', '--json');
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout).warm.svm;
}

/** Waits until none of them is there. */
async function gone(...pids: number[]): Promise<void> {
  for (const ends = performance.now() + 60_000; pids.some(isRunning); await delay(100))
    assert.ok(performance.now() < ends, `still there: ${pids.filter(isRunning)}`);
}

describe('a machine that stays', { skip: labMissing(), concurrency: false }, () => {
  after(async () => {
    // A command that cannot be started would keep its timer.
    if (existsSync(copy)) await kvmDsm('lab', 'down').catch(() => {});
    rmSync(place, { recursive: true, force: true });
  });

  test('comes up, and says so the second time', async () => {
    copyPackage();
    const first = await kvmDsm('lab', 'up', '--on', 'svm');
    assert.equal(first.code, 0, first.stderr);
    assert.match(first.stdout, /^the svm machine is up: process \d+, ends after 30 idle minutes\n$/);
    const second = await kvmDsm('lab', 'up', '--on', 'svm');
    assert.match(second.stdout, /^the svm machine was up already/);
    assert.match((await kvmDsm('lab', 'status')).stdout, /^warm {6}svm: idle, .* 1 boot\)/m);
  });

  test('runs commands, each with its output and exit code, and with no file of the one before', async () => {
    const touched = await inside(
      'sh',
      '-c',
      'echo out; echo err >&2; mkdir /run/kvm-dsm; echo >/run/kvm-dsm/x; exit 7',
    );
    assert.deepEqual([touched.code, touched.stdout, touched.stderr], [7, 'out\n', 'err\n']);
    assert.equal((await inside('ls', '/run/kvm-dsm/x')).code, 1);
    const bytes = await inside('sh', '-c', 'printf "no end"');
    assert.deepEqual([bytes.code, bytes.stdout], [0, 'no end']);
    assert.equal((await status())?.boots, 1);
  });

  test('runs a script without a boot', async () => {
    const { code, stdout, stderr } = await kvmDsm('run', 'examples/first-ipi.ts', '--on', 'svm', '--json', '--timings');
    assert.equal(code, 0, stderr);
    const lines = jsonLines(stdout);
    assert.deepEqual(lines.at(-1), { type: 'result', ok: true, exits: 3 });
    const { phases } = lines.at(-2) as { phases: { phase: string }[] };
    const names = phases.map(({ phase }) => phase);
    assert.ok(names.includes('turn') && names.includes('script') && !names.includes('kernel'), names.join());
  });

  test('has the package loaded before a command comes, and every script has its own of it', async () => {
    const path = join(place, 'script.ts');
    writeFileSync(
      path,
      'import { machine } from "kvm-dsm";\nconsole.log(process.argv.slice(2).join(), process.env.MARK);\nprocess.env.MARK = "left";\nif (typeof machine !== "function") throw new Error();\n',
    );
    for (const word of ['one', 'two']) {
      const { code, stdout, stderr } = await kvmDsm('run', path, '--on', 'svm', '--', word);
      assert.equal(code, 0, stderr);
      assert.match(stdout, new RegExp(`^${word} undefined$`, 'm'));
    }
    // The one that waits is in the way of nobody, and is what waits after a command that is another program.
    const waiting = 'for d in /proc/[0-9]*; do tr "\\\\0" " " <$d/cmdline; echo; done | grep -c "^[^ ]*node.*wait-for"';
    assert.equal((await inside('sh', '-c', waiting)).stdout, '0\n');
  });

  test('lets two commands wait for each other', async () => {
    const both = await Promise.all([inside('sleep', '1'), inside('sleep', '1')]);
    // On a busy machine the turn may take longer than a command waits for one.
    const own = both.filter(({ stderr }) => stderr.includes('runs another command: this command boots its own'));
    for (const { code, stderr } of both) assert.ok(code === 0 && (stderr === '' || own.length === 1), stderr);
    const up = await status();
    assert.deepEqual([up?.boots, up?.commands], [1, 9 - own.length]);
  });

  test('is booted again after a command that left a process', async () => {
    assert.equal((await inside('sh', '-c', 'sleep 1000 >/dev/null 2>&1 &')).code, 0);
    assert.match(await next(), /^the warm svm machine was booted again: a command left processes behind: sleep\n$/);
    assert.equal((await status())?.boots, 2);
    assert.equal(await next(), '');
  });

  test('is booted again after a command that changed a parameter of KVM', async () => {
    assert.equal((await inside('sh', '-c', 'echo late >/sys/module/kvm/parameters/dsm_fault')).code, 0);
    assert.match(await next(), /booted again: a command changed parameters of KVM's modules\n$/);
    assert.equal((await inside('cat', '/sys/module/kvm/parameters/dsm_fault')).stdout.includes('[late]'), false);
  });

  test('is booted again after a panic, which the command that ran is told of', async () => {
    const { code, stderr } = await inside('sh', '-c', 'echo c >/proc/sysrq-trigger');
    assert.equal(code, 1, stderr);
    assert.match(stderr, /ERR_LAB_PANIC|ERR_LAB_OOPS/);
    assert.match(await next(), /^the warm svm machine was booted again: /);
  });

  test('is booted again when the command is killed', async () => {
    const before = await status();
    const child = start('lab', 'exec', '--on', 'svm', '--', 'sh', '-c', 'echo begun; sleep 1000');
    await once(child.stdout!, 'data');
    child.kill('SIGKILL');
    assert.match(await next(), /booted again: a command was broken off\n$/);
    const up = await status();
    assert.deepEqual([up?.pid, up?.boots], [before?.pid, before!.boots + 1]);
    await gone(before!.emulatorPid);
  });

  test('is another one when the package has changed', async () => {
    const before = await status();
    const now = new Date();
    utimesSync(join(copy, 'dist/index.js'), now, now);
    const told = await next();
    assert.match(
      told,
      /another state of this package or of Node\.js is here now: the warm svm machine is booted again/,
    );
    const up = await status();
    assert.notEqual(up?.pid, before?.pid);
    assert.deepEqual([up?.boots, up?.commands], [1, 1]);
    await gone(before!.pid, before!.emulatorPid);
  });

  test('goes, with all of its processes, when it is told to', async () => {
    const up = await status();
    assert.equal((await kvmDsm('lab', 'down')).stdout, 'ended: svm\n');
    await gone(up!.pid, up!.emulatorPid);
    assert.equal(await status(), null);
    assert.equal((await kvmDsm('lab', 'down')).stdout, 'no machine was up\n');
  });

  test('ends by itself when its process is killed, or the package that it came from is gone', async () => {
    assert.equal((await kvmDsm('lab', 'up', '--on', 'svm')).code, 0);
    const killed = await status();
    process.kill(killed!.pid, 'SIGKILL');
    await gone(killed!.pid, killed!.emulatorPid);
    assert.equal(await status(), null);

    assert.equal((await kvmDsm('lab', 'up', '--on', 'svm', '--idle', '5')).code, 0);
    const up = await status();
    rmSync(copy, { recursive: true });
    await gone(up!.pid, up!.emulatorPid);
  });
});
