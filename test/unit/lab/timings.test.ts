import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeTimings, Timings } from '../../../lib/lab/index.ts';

test('a phase has the time since the one before ended, and one that comes again adds up', () => {
  const timings = new Timings(100);
  timings.ended('command', 350);
  timings.ended('script', 1350);
  timings.ended('command', 1450);
  assert.deepEqual(timings.report(), {
    phases: [
      { phase: 'command', ms: 350 },
      { phase: 'script', ms: 1000 },
    ],
    totalMs: 1350,
  });
});

test('a moment before the last one takes no time back', () => {
  const timings = new Timings();
  timings.ended('kernel', 500);
  timings.ended('init', 400);
  timings.ended('node', 900);
  const { phases, totalMs } = timings.report();
  assert.deepEqual(
    phases.map(({ ms }) => ms),
    [500, 0, 400],
  );
  assert.equal(totalMs, 900);
});

test('what a process inside writes counts only if it names a phase, and nothing else', () => {
  const timings = new Timings();
  assert.equal(timings.take('phase node'), true);
  for (const text of ['', 'phase', 'phase nothing', 'phase toString', 'phase node more', 'check 1 abc'])
    assert.equal(timings.take(text), false, text);
  assert.deepEqual(
    timings.report().phases.map(({ phase }) => phase),
    ['node'],
  );
});

test('a person sees a line for each phase, and the sum', () => {
  const text = describeTimings({ phases: [{ phase: 'kernel', ms: 1234 }], totalMs: 5678 });
  assert.match(text, /^kernel +1\.23 s {2}the kernel, to user space\ntotal +5\.68 s\n$/);
});
