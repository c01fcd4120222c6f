// The parts of the bench of nodes that need no KVM.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { staticRelay } from '../../../bench/build-c.ts';
import { bundle } from '../../../bench/bundle.ts';
import { burstRows, type NodesFound, wayRows } from '../../../bench/nodes/found.ts';
import { timesOf } from '../../../bench/nodes/guests.ts';
import { page, pageWithResults } from '../../../bench/nodes/page.ts';

test('docs/nodes-costs.md has the figures that the bench wrote down', () => {
  assert.equal(readFileSync(page, 'utf8'), pageWithResults(), 'npm run docs:nodes');
});

test('a ratio is that of turns that were side by side', () => {
  const of = (way: string, ...turns: number[]): NodesFound => ({ way, count: 9, p50: turns[1]!, p99: 500, turns });
  const found = [of('local', 10, 100, 10), of('nodes', 30, 400, 20), of('nats-request', 60, 200, 10)];
  const [head, ...rows] = wayRows([...found, { note: 'here' }]);
  const column = (name: string) => rows.map((row) => row[head!.indexOf(name)]);
  assert.deepEqual(column('to local'), ['', '3.0', '2.0']);
  assert.deepEqual(column("to NATS' request"), ['0.50', '2.0', '']);
  // Nobody has run it.
  assert.deepEqual(column('to the C relay'), ['', '', '']);
  assert.equal(burstRows(found).length, 1);
});

test("a guest's ticks are microseconds by its frequency", () => {
  const table = new Uint8Array(Uint32Array.of(1000, 500, 7).buffer);
  assert.deepEqual(timesOf(table, 2, 1_600_000), [10, 5]);
});

test('what runs inside is one file, with the client of NATS in it', () => {
  const code = bundle('nodes/inside.ts', '/package');
  assert.match(code, /from ?["']\/package\/dist\/index\.js["']/);
  assert.doesNotMatch(code, /from ?["']@nats-io/);
});

const noCompiler = spawnSync('cc', ['--version']).error ? 'no C compiler (cc) here' : false;
test('the relay is a program without libraries, and refuses what it does not know', { skip: noCompiler }, () => {
  const run = (...args: string[]) => spawnSync(staticRelay(), args, { encoding: 'utf8' });
  assert.equal(run().status, 2);
  const { status, stderr } = run('/nowhere', '0', '1', 'x', 'y');
  assert.equal(status, 1);
  assert.match(stderr, /\/nowhere: No such file/);
});
