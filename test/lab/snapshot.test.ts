/** A machine that has booted, kept in the cache: a command goes on from it, as if the machine were its own. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { findEmulator } from '../../lib/lab/lanes/find-emulator.ts';
import { laneNamed } from '../../lib/lab/lanes/index.ts';
import { cacheDir } from '../../lib/lab/paths.ts';
import type { LabStatus } from '../../lib/lab/status.ts';
import { jsonLines, kvmDsm } from '../support/command.ts';
import { interrupted } from '../support/interrupt.ts';
import { labMissing } from '../support/lab.ts';
import { isRunning } from './boot.ts';

const skip = labMissing();
const work = mkdtempSync(join(tmpdir(), 'kvm-dsm-snapshot-'));
const cache = join(work, 'cache/kvm-dsm');
const snapshots = join(cache, 'snapshots');

/** What a script finds of the machine that is chance, and the time. */
const script = join(work, 'chance.ts');
const chance = `
import { randomBytes, randomUUID } from 'node:crypto';
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
const bytes = Buffer.alloc(8);
const file = openSync('/dev/urandom', 'r');
readSync(file, bytes);
closeSync(file);
console.log(JSON.stringify({
  numbers: [Math.random(), randomBytes(8).toString('hex'), randomUUID(), bytes.toString('hex')],
  times: [Date.now(), performance.timeOrigin + performance.now()],
}));
export {};
`;

interface Found {
  numbers: (string | number)[];
  times: number[];
}

const command = (args: readonly string[], asked = '1') =>
  kvmDsm(args, 400, ['env', `KVM_DSM_LAB_SNAPSHOT=${asked}`, `XDG_CACHE_HOME=${join(work, 'cache')}`]);

/** Runs the script; answers what it found, the phases of the run, and what was told. */
function run(more: readonly string[] = [], asked = '1') {
  const began = Date.now();
  const { code, stdout, stderr } = command(['run', script, '--on', 'svm', '--json', '--timings', ...more], asked);
  const ended = Date.now();
  assert.equal(code, 0, stdout + stderr);
  const lines = jsonLines(stdout);
  const timings = lines.find(({ type }) => type === 'timings') as { phases: { phase: string }[] };
  const phases = timings.phases.map(({ phase }) => phase);
  const said = lines.filter(({ type }) => type === 'stdout').map(({ text }) => text);
  return {
    found: JSON.parse(said.join('')) as Found,
    isResumed: phases.includes('resume'),
    hasBooted: phases.includes('kernel'),
    stderr,
    began,
    ended,
  };
}

/** The folders of snapshots. */
const made = () => readdirSync(snapshots).filter((name) => name !== 'booted');

/** The folder of the only one. */
function only(): string {
  const names = made();
  assert.equal(names.length, 1, names.join());
  return join(snapshots, names[0]!);
}

/** Has a machine come up that stays; answers its emulator's process, and whether that was started from a state. */
function raised(emulator: string): { pid: number; isResumed: boolean } {
  const { code, stderr } = command(['lab', 'up', '--on', 'svm', '--emulator', emulator]);
  assert.equal(code, 0, stderr);
  const status = JSON.parse(command(['lab', 'status', '--json']).stdout) as LabStatus;
  const pid = status.warm.svm!.emulatorPid!;
  const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  return { pid, isResumed: words.includes('-incoming') };
}

const lower = () => command(['lab', 'down']);

describe('a snapshot of a machine that has booted', { skip, concurrency: false }, () => {
  before(() => {
    mkdirSync(cache, { recursive: true, mode: 0o700 });
    const kernels = join(cacheDir(), 'kernels');
    if (existsSync(kernels)) symlinkSync(kernels, join(cache, 'kernels'));
    writeFileSync(script, chance);
  });
  after(() => {
    lower();
    rmSync(work, { recursive: true, force: true });
  });

  test('of which nothing is left by a signal while it is made', async () => {
    const env = { KVM_DSM_LAB_SNAPSHOT: '1', XDG_CACHE_HOME: join(work, 'cache') };
    const { code, stdout } = await interrupted(['run', script, '--on', 'svm'], {
      signal: 'SIGINT',
      when: () => existsSync(snapshots) && readdirSync(snapshots).some((name) => name.startsWith('new-')),
      env,
    });
    assert.equal(code, 130);
    assert.match(stdout, /^not ok: interrupted by SIGINT while booting the svm machine \[ERR_INTERRUPTED\]/);
    assert.deepEqual(made(), []);
  });

  test('is made by the second command that would boot the machine, where nothing is asked for', () => {
    const first = run([], '');
    assert.deepEqual([first.isResumed, first.hasBooted, made()], [false, true, []]);
    assert.equal(run([], '').isResumed, true);
    rmSync(only(), { recursive: true });
  });

  test('is made by the first command if that is asked for, and the next ones go on from it, each with numbers and a clock of its own', () => {
    const first = run();
    const kept = only();
    assert.equal(statSync(snapshots).mode & 0o777, 0o700);
    const second = run();
    assert.equal(only(), kept);
    for (const one of [first, second]) {
      assert.deepEqual([one.isResumed, one.hasBooted], [true, false]);
      // The machine's clock is set in whole seconds.
      for (const time of one.found.times)
        assert.ok(time > one.began - 1000 && time < one.ended + 1000, `${time} in ${one.began} to ${one.ended}`);
    }
    for (const [index, number] of first.found.numbers.entries()) assert.notEqual(second.found.numbers[index], number);
  });

  test('is not used by who wants none', () => {
    const { isResumed, hasBooted } = run([], '0');
    assert.deepEqual([isResumed, hasBooted], [false, true]);
  });

  test('is not there for another word', () => {
    const { code, stdout } = command(['run', script, '--on', 'svm'], 'yes');
    assert.match(stdout, /the environment's KVM_DSM_LAB_SNAPSHOT is "yes" \[ERR_LAB_SETTING\]/);
    assert.equal(code, 2);
  });

  test('is not made for a kernel command line of its own', () => {
    const kept = only();
    const { isResumed, hasBooted } = run(['--cmdline', 'kvm.vector_hashing=0']);
    assert.deepEqual([isResumed, hasBooted], [false, true]);
    assert.equal(only(), kept);
  });

  test('that is damaged is made anew, and that is told', () => {
    const path = join(only(), 'devices');
    const good = readFileSync(path);
    const bad = Buffer.from(good);
    bad[bad.length >> 1]! ^= 1;
    for (const [bytes, why] of [
      [bad, 'devices has been changed'],
      [good.subarray(0, 1000), 'devices has not its size'],
    ] as const) {
      writeFileSync(path, bytes);
      const { isResumed, stderr } = run();
      assert.ok(isResumed);
      assert.match(stderr, new RegExp(`the snapshot of the booted machine is damaged \\(${why}\\): it is made anew`));
    }
  });

  test('that the emulator does not take is removed, and the machine booted, and that is told', () => {
    const dir = only();
    const facts = JSON.parse(readFileSync(join(dir, 'snapshot.json'), 'utf8'));
    const bytes = readFileSync(join(dir, 'devices'));
    bytes.fill(0xff, 0, 64);
    writeFileSync(join(dir, 'devices'), bytes);
    facts.checksum = createHash('sha256').update(bytes).digest('hex');
    writeFileSync(join(dir, 'snapshot.json'), JSON.stringify(facts));
    const { isResumed, hasBooted, stderr } = run();
    assert.deepEqual([isResumed, hasBooted], [false, true]);
    assert.match(stderr, /the snapshot of the booted machine is of no use, and removed \(.+\): the machine is booted/);
    assert.deepEqual(made(), []);
  });

  test('is what a machine that stays begins with; it is booted where that is lost, or the emulator ends with it', async () => {
    const emulator = join(work, 'emulator');
    const ends = join(work, 'ends');
    const qemu = findEmulator(laneNamed('svm')).path;
    const text = `case "$*" in *-incoming*) [ ! -e '${ends}' ] || exit 1 ;; esac\nexec '${qemu}' "$@"\n`;
    writeFileSync(emulator, `#!/bin/sh\n${text}`, { mode: 0o755 });
    const { pid, isResumed } = raised(emulator);
    assert.equal(isResumed, true);
    process.kill(pid, 'SIGKILL');
    for (const late = performance.now() + 60_000; isRunning(pid); await delay(100))
      assert.ok(performance.now() < late, 'the emulator does not end');
    assert.equal(raised(emulator).isResumed, false, 'it had run no command');
    lower();
    writeFileSync(ends, '');
    assert.equal(raised(emulator).isResumed, false);
    const found = run(['--emulator', emulator]);
    assert.deepEqual([found.isResumed, found.hasBooted], [false, false], 'it is the machine that is up');
  });
});
