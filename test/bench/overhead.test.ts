import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { cases } from '../../bench/cases/index.ts';
import { root } from '../support/command.ts';
import { noKvm } from '../support/host.ts';

const skip = noKvm || (spawnSync('cc', ['--version']).error ? 'no C compiler (cc) here' : false);

function overhead(...args: string[]): { status: number | null; lines: string[]; stderr: string } {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--import', 'tsx', 'bench/overhead/main.ts', ...args],
    { cwd: root, encoding: 'utf8', timeout: 120_000 },
  );
  return { status, lines: stdout.trim().split('\n'), stderr };
}

test('the overhead says first that KVM_RUN is not run', { skip }, () => {
  const { status, lines, stderr } = overhead('--turns', '1', '--share', '0.01', 'run-pio');
  assert.equal(status, 0, stderr);
  assert.match(lines[0]!, /^KVM_RUN is not run here: .* for cost alone\.$/);
  assert.match(lines[1]!, /^CPU time +C +JavaScript +ratio/);
  assert.match(lines[2]!, /^run-pio \(exit\)( +[\d.]+ [num]s){2} /);
});

test('every case of the overhead has two sides that count the same', { skip }, () => {
  const { status, lines, stderr } = overhead('--turns', '1', '--share', '0.01', '--json');
  assert.equal(status, 0, stderr);
  const measured = lines.slice(1).map((line) => JSON.parse(line));
  const names = cases.filter(({ needs }) => needs !== 'guest').map(({ name }) => name);
  assert.deepEqual(
    measured.map(({ name }) => name),
    names,
  );
  for (const { name, wall, cpu } of measured)
    for (const { ours, reference, ratio } of [wall, cpu])
      assert.ok(ours > 0 && reference > 0 && ratio > 0, `${name}: ${ours} ${reference} ${ratio}`);
});

test('a case that is not there is refused by name', { skip }, () => {
  const { status, stderr } = overhead('run-poi');
  assert.equal(status, 1);
  assert.match(stderr, /no case run-poi; there are run-pio, /);
});

const noStrace = skip || (spawnSync('strace', ['--version']).error ? 'no strace here' : false);

test('system calls are counted per exit: C makes one', { skip: noStrace }, () => {
  const { status, lines, stderr } = overhead('--share', '0.1', '--counts', 'calls', '--json', 'run-raw');
  assert.equal(status, 0, stderr);
  const { c, js } = JSON.parse(lines[1]!);
  assert.equal(c, 1);
  // What node does of its own beside the exits comes and goes.
  assert.equal(Math.round(js), 1, `${js}`);
});
