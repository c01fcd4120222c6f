/** What a process that runs checks tells, and to which check a report of the kernel's belongs. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { checksById, subject } from '../../../lib/suite/check.ts';
import { readWorkerEvent } from '../../../lib/suite/run/events.ts';
import type { Outcome } from '../../../lib/suite/run/protocol.ts';
import { superviseWorkers } from '../../../lib/suite/run/supervisor.ts';
import { testFolder } from '../../support/test-folder.ts';

const directory = testFolder();
const log = join(directory, 'kmsg');

const names = ['word.one', 'word.two', 'word.three'];
const checks = checksById([
  subject(
    'word',
    'words',
    names.map((id) => ({ id, claim: 'So', source: 'SDM', run() {} })),
  ),
]);

/** What stands before the process's own words, in which `job` has its items. */
const PRELUDE = `
const fs = require('node:fs');
const job = JSON.parse(fs.readFileSync(0, 'utf8'));
let sequence = 1000;
const line = (text) => fs.writeSync(3, text + '\\n');
const tell = (event) => line(JSON.stringify(event));
const go = () => fs.readSync(3, Buffer.alloc(1)) || process.exit(0);
const kernel = (text) => fs.appendFileSync(${JSON.stringify(log)}, '4,' + sequence++ + ',1,-;' + text + '\\n');
const pass = (n) => ({ type: 'outcome', n, outcome: { kind: 'pass' }, ms: 1, exits: 1 });
const run = (n, during = () => {}) => { tell({ type: 'start', n }); during(); tell(pass(n)); go(); };
tell({ type: 'facts', facts: {} });
go();
`;

/** Runs three checks in a process that does what the code says; what came of them, and the words for a person. */
async function supervise(code: string, prelude = PRELUDE) {
  writeFileSync(log, '4,1,0,-;a line from before\n');
  const outcomes: [string, Outcome][] = [];
  const notes: string[] = [];
  const sink = {
    facts() {},
    start() {},
    outcome({ id }: { id: string }, outcome: Outcome) {
      outcomes.push([id.slice(5), outcome]);
      return true;
    },
    note: (text: string) => void notes.push(text),
  };
  const worker = { command: process.execPath, args: ['-e', prelude + code] };
  const options = { worker, module: null, checks, seed: 0, device: '/dev/kvm', profile: 'rfc-v2', mark: null };
  const items = names.map((id, n) => ({ n, id, round: 1 }));
  const more = { timeoutMs: 60_000, endWhenBroken: false, kernelLog: log };
  const end = await superviseWorkers(items, { ...options, ...more }, sink).catch((error: unknown) => error);
  const said = outcomes.map(([name, outcome]) => [name, outcome.kind === 'fail' ? outcome.reason : outcome.kind]);
  return { end, said, notes, outcomes };
}

const all = 'for (const { n } of job.items) run(n);';

describe('what a worker tells', () => {
  for (const [what, line] of [
    ['null', 'null'],
    ['a number', '7'],
    ['no JSON', 'passed'],
    ['an event that there is not', '{"type":"passed","n":1}'],
    ['a check that there is not', '{"type":"start","n":3}'],
    ['a check in another one', '{"type":"start","n":0}'],
    ["another check's outcome", '{"type":"outcome","n":0,"outcome":{"kind":"pass"},"ms":1,"exits":1}'],
    ['an outcome that there is not', '{"type":"outcome","n":1,"outcome":{"kind":"fine"},"ms":1,"exits":1}'],
    ['an outcome without a number', '{"type":"outcome","outcome":{"kind":"pass"},"ms":1,"exits":1}'],
    ['an outcome that is null', '{"type":"outcome","n":1,"outcome":null,"ms":1,"exits":1}'],
  ] as const)
    test(`${what}: the check that runs fails by name, the others do not`, async () => {
      const forged = `for (const { n } of job.items) run(n, () => n === 1 && line(${JSON.stringify(line)}));`;
      const { end, said } = await supervise(forged);
      assert.equal(end, 'done');
      assert.deepEqual(said, [
        ['one', 'pass'],
        ['two', `its process told what cannot be so: ${line}`],
        ['three', 'pass'],
      ]);
    });

  test('a second outcome, which no check can be blamed for, ends the run', async () => {
    const { end } = await supervise('run(0, () => tell(pass(0)));');
    assert.ok(end instanceof Error && 'code' in end);
    assert.equal(end.code, 'ERR_SUITE_PROTOCOL');
    assert.match(end.message, /cannot be so: \{"type":"outcome","n":0/);
  });

  test('what an outcome has beside its own is dropped', () => {
    const outcome = { kind: 'skip', reason: 'no', more: 1 };
    assert.deepEqual(readWorkerEvent(JSON.stringify({ type: 'outcome', n: 0, outcome, ms: 1, exits: 2, more: 1 })), {
      type: 'outcome',
      n: 0,
      outcome: { kind: 'skip', reason: 'no' },
      ms: 1,
      exits: 2,
    });
  });
});

describe('a report of the kernel’s', () => {
  const bug = 'BUG: KASAN: slab-use-after-free in f+0x1/0x2';

  test('none: all pass', async () => {
    const { end, said, notes } = await supervise(all);
    assert.deepEqual([end, said, notes], ['done', names.map((id) => [id.slice(5), 'pass']), []]);
  });

  test('while a check runs, or after its outcome and before the next begins: it is of that check', async () => {
    for (const code of [
      `for (const { n } of job.items) run(n, () => n === 1 && kernel(${JSON.stringify(bug)}));`,
      `for (const { n } of job.items) { tell({ type: 'start', n }); if (n === 1) kernel(${JSON.stringify(bug)}); tell(pass(n)); go(); }`,
    ]) {
      const { end, said, outcomes } = await supervise(code);
      assert.equal(end, 'done');
      assert.deepEqual(said, [
        ['one', 'pass'],
        ['two', `the kernel says: ${bug}`],
        ['three', 'pass'],
      ]);
      const [, two] = outcomes[1]!;
      assert.equal(two.kind === 'fail' && two.cause, 'oops');
    }
  });

  test('the next check begins only after the log has been looked at', async () => {
    // Each check reports as soon as it begins: none may be taken for the one before.
    const { said } = await supervise("for (const { n } of job.items) run(n, () => kernel('UBSAN: of ' + n));");
    assert.deepEqual(
      said.map(([, reason]) => reason),
      [0, 1, 2].map((n) => `the kernel says: UBSAN: of ${n}`),
    );
  });

  test('before the first check: that fails, and says so', async () => {
    const early = PRELUDE.replace("tell({ type: 'facts'", `kernel(${JSON.stringify(bug)});\ntell({ type: 'facts'`);
    const { said, notes } = await supervise(all, early);
    assert.deepEqual(said[0], ['one', `before this check began, the kernel said: ${bug}`]);
    assert.deepEqual(
      said.slice(1).map(([, reason]) => reason),
      ['pass', 'pass'],
    );
    assert.match(notes.join('\n'), /the kernel is not sound any more/);
  });

  test('after the last check: the run fails', async () => {
    const { end, said } = await supervise(`${all} kernel(${JSON.stringify(bug)});`);
    assert.equal(said.length, 3);
    assert.ok(end instanceof Error && 'code' in end);
    assert.equal(end.code, 'ERR_KERNEL_REPORT');
    assert.match(end.message, /^the kernel reported a wrong use of memory \(KASAN\) after the last check: /);
  });

  test('records that were overwritten before they were read are told', async () => {
    const { notes } = await supervise(`${all}`);
    assert.deepEqual(notes, []);
    const lost = await supervise(`run(0, () => { kernel('a'); sequence += 9; kernel('b'); });`);
    assert.match(lost.notes.join('\n'), /\d+ records of the kernel's log were overwritten/);
  });
});

describe('a probe that takes its process with it', () => {
  const PROBING = PRELUDE.replace(
    "tell({ type: 'facts', facts: {} });",
    `
for (const name of ['forwarding', 'ipi', 'base']) {
  if (job.failedProbes[name]) continue;
  tell({ type: 'probe', name });
  during(name);
}
tell({ type: 'facts', facts: { failedProbes: job.failedProbes } });`,
  );
  const die = (name: string, how = 'process.kill(process.pid, "SIGKILL")') =>
    `const during = (name) => { if (name === '${name}') { ${how}; for (;;); } };`;

  test('costs that probe alone: it is not asked again, and every check runs', async () => {
    const { end, said, notes } = await supervise(all, die('ipi') + PROBING);
    assert.equal(end, 'done');
    assert.deepEqual(
      said.map(([, reason]) => reason),
      ['pass', 'pass', 'pass'],
    );
    assert.deepEqual(notes, ['it was not found out whether KVM_DSM_IPI is known: its process ended: signal SIGKILL']);
  });

  test('each of them may', async () => {
    const both = `const during = (name) => { if (name !== 'ipi') process.exit(7); };`;
    const { end, said, notes } = await supervise(all, both + PROBING);
    assert.equal(end, 'done');
    assert.equal(said.length, 3);
    assert.equal(notes.length, 2);
    assert.match(notes.join('\n'), /ICR writes come out: its process ended: exit code 7\n.*KVM_DSM_APIC_BASE/);
  });

  test('what the kernel reported meanwhile is why, and no check is blamed for it', async () => {
    const oops = 'BUG: kernel NULL pointer dereference, address: 0000000000000000';
    const code = `${die('base', `kernel(${JSON.stringify(oops)}); process.exit(9)`)}`;
    const { said, notes } = await supervise(all, code + PROBING);
    assert.equal(said[0]![1], 'pass');
    assert.match(notes.join('\n'), /KVM_DSM_APIC_BASE is known: the kernel says: BUG: kernel NULL pointer/);
  });

  test('a process that does not even come to a probe ends the run', async () => {
    const { end } = await supervise(all, 'process.exit(3);');
    assert.ok(end instanceof Error && 'code' in end && end.code === 'ERR_SUITE_WORKER');
  });
});
