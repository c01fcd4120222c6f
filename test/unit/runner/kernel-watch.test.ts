/** A script's outcome, and what the kernel said meanwhile. */
import assert from 'node:assert/strict';
import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { KernelWatch } from '../../../lib/runner/kernel-watch.ts';
import type { ScriptOutcome } from '../../../lib/runner/protocol.ts';
import { testFolder } from '../../support/test-folder.ts';

const directory = testFolder();
const log = join(directory, 'kmsg');
const passed: ScriptOutcome = { exits: 1, forwarded: 0, seed: 0, seeded: false };
const failed: ScriptOutcome = {
  ...passed,
  failure: { text: 'it is 1', json: { code: 'ERR_EXPECTATION' }, exitCode: 3 },
};
const line = 'UBSAN: shift-out-of-bounds in a.c:1:2';

/** What becomes of an outcome if the kernel says this meanwhile; and the words for a person. */
function judged(outcome: ScriptOutcome, priority: number | null): { outcome: ScriptOutcome; notes: string[] } {
  writeFileSync(log, `4,1,0,-;${line}\n`);
  const notes: string[] = [];
  using watch = new KernelWatch((text) => notes.push(text), log);
  if (priority !== null) appendFileSync(log, `${priority},2,0,-;${line}\n`);
  return { outcome: watch.judge(outcome), notes };
}

test('without a report the outcome is the script’s own', () => {
  // 12: a warning that user space has written.
  for (const outcome of [passed, failed])
    for (const priority of [null, 12]) assert.deepEqual(judged(outcome, priority), { outcome, notes: [] });
});

test('with one a script that passed has failed', () => {
  const { failure } = judged(passed, 4).outcome;
  assert.equal(failure!.exitCode, 1);
  assert.equal(failure!.json.code, 'ERR_KERNEL_REPORT');
  assert.match(failure!.text, /^the kernel reported undefined behaviour \(UBSAN\) while the script ran: UBSAN: shift/);
});

test('the failure of a script that failed stands beside it', () => {
  const { failure } = judged(failed, 4).outcome;
  assert.equal(failure!.exitCode, 1);
  assert.equal(failure!.json.code, 'ERR_KERNEL_REPORT');
  assert.deepEqual(failure!.json.script, { code: 'ERR_EXPECTATION' });
  assert.match(failure!.text, /\nThe script itself failed: it is 1$/);
});

test('a log that cannot be read is told once', () => {
  const notes: string[] = [];
  using watch = new KernelWatch((text) => notes.push(text), join(directory, 'none'));
  assert.deepEqual([watch.judge(passed), watch.judge(failed)], [passed, failed]);
  assert.equal(notes.length, 1);
  assert.match(notes[0]!, /^the kernel's log is not watched: ENOENT/);
});
