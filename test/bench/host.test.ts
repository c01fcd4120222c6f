import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { root } from '../support/command.ts';
import { noKvm } from '../support/host.ts';

const skip = noKvm || (spawnSync('cc', ['--version']).error ? 'no C compiler (cc) here' : false);

function bench(...args: string[]): { status: number | null; lines: string[]; stderr: string } {
  const command = ['--import', 'tsx', 'bench/main.ts', '--turns', '1', '--share', '0.02', ...args];
  const options = { cwd: root, encoding: 'utf8', timeout: 120_000 } as const;
  const { status, stdout, stderr } = spawnSync(process.execPath, command, options);
  return { status, lines: stdout.trim().split('\n'), stderr };
}

test('guests run on both sides, and what this KVM does not have is left out', { skip }, () => {
  const names = ['run-pio', 'kit-2', 'record-2', 'kick', 'pause-resume'];
  const { status, lines, stderr } = bench('--json', 'run-dsm', ...names);
  assert.equal(status, 0, stderr);
  const measured = lines.map((line) => JSON.parse(line));
  const found = measured.map(({ name }) => name).filter((name) => name !== 'run-dsm');
  assert.deepEqual(found, names);
  for (const { name, wall } of measured) assert.ok(wall.ours > 0 && wall.reference > 0, name);
});

test('as a table', { skip }, () => {
  const { status, lines, stderr } = bench('run-raw');
  assert.equal(status, 0, stderr);
  assert.match(lines[0]!, /^by the clock +C +JavaScript +ratio +middle half +of the least +CPU time$/);
  assert.match(lines[1]!, /^run-raw \(exit\)( +[\d.]+ [num]s){2} +[\d.]+ /);
});

test('a place that there is not is refused', () => {
  const { status, stderr } = bench('--on', 'mars');
  assert.equal(status, 1);
  assert.match(stderr, /--on mars: it is one of host, svm, vmx/);
});

test('what a process keeps of its exits, and how long it takes to be there', { skip }, () => {
  const { status, lines, stderr } = bench('--json', '--share', '0.001', 'memory', 'start');
  assert.equal(status, 0, stderr);
  const figures = lines.map((line) => JSON.parse(line).figure);
  assert.deepEqual(new Set(figures.map(({ name }) => name)), new Set(['memory', 'start']));
  for (const { what, value } of figures) assert.ok(Number.isFinite(value), what);
});
