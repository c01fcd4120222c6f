/** The reply: lines that fit a mail, the worst first, commands that a shell takes. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { describe, test } from 'node:test';
import type { RuleAnswer } from '../../../lib/review/checklist/answer.ts';
import { exitCodeOf } from '../../../lib/review/command.ts';
import { type Review, verdictOf } from '../../../lib/review/found.ts';
import { lateChecks, withSecond } from '../../../lib/review/judge.ts';
import { profileOf } from '../../../lib/review/profile.ts';
import { findingsOf } from '../../../lib/review/report/findings.ts';
import { ktapOf } from '../../../lib/review/report/ktap.ts';
import { replyOf } from '../../../lib/review/report/reply.ts';
import { COLUMNS, wrappedCommand } from '../../../lib/review/report/wrap.ts';
import type { Judged, SuiteRun } from '../../../lib/review/suite.ts';
import { totalsOf } from '../../../lib/suite/run/judge.ts';

function check(id: string, more: Partial<Judged> = {}): Judged {
  const known = { claim: `The claim of ${id}`, source: 'SDM 3A 11.6', destructive: false, cause: null };
  return { id, ...known, verdict: 'pass', reason: null, detail: '', ...more };
}

function runOf(checks: Judged[], failedProbes = {}): SuiteRun {
  const facts = { forwards: true, cpu: 'a CPU', kernel: '6.12.1', failedProbes } as unknown as SuiteRun['facts'];
  const totals = totalsOf(checks);
  return { lane: 'svm', facts, checks, totals, boot: null, error: null, notes: [], ktap: '', seconds: 83 };
}

const path = '/home/somebody/.cache/kvm-dsm/reviews/kernel-0123456789abcdef/bzImage';
const kernel = { ok: true, image: path, sha256: '', release: '6.12.1', seconds: 1 } as const;

function found(child: SuiteRun[], parent: SuiteRun[], answers: RuleAnswer[] = []): Review {
  return {
    given: 'a.mbox',
    title: 'KVM: x86: A title that is so long that it has to go on below, where it stands with as many blanks',
    version: 'RFC v2',
    patches: ['1/1 KVM: x86: A title'],
    notes: ['1 replies were left out'],
    base: 'a tree',
    profile: 'rfc-v2',
    symbols: ['KVM_DSM_IRQ_FORWARD'],
    looksOnly: false,
    apply: null,
    build: null,
    parent: { kernel, runs: parent },
    child: { kernel, runs: child },
    answers,
    seconds: 700,
  };
}

const answer = (id: string): RuleAnswer => ({
  id,
  rule: 'A rule',
  looked: 'the header',
  seen: [`include/uapi/linux/kvm.h:12: ${'x'.repeat(90)}`],
  verdict: 'broken',
  again: 'npx kvm-dsm review a.mbox --checklist',
});
const reviewed = found(
  [
    runOf([
      check('once.lost', { verdict: 'xfail', reason: 'a write is lost', detail: 'one\ntwo\nthree\nfour\nfive' }),
      check('once.as-well', { verdict: 'xfail', reason: 'a write is lost' }),
      check('stock.eoi', { verdict: 'fail', reason: 'no EOI', cause: 'check' as Judged['cause'] }),
      check('injection.crash.a', { verdict: 'fail', reason: 'BUG', cause: 'oops', destructive: true }),
    ]),
  ],
  [runOf([check('stock.eoi'), check('once.lost', { verdict: 'skip' })])],
  [answer('uapi.types'), answer('1')],
);

describe('the findings of a review', () => {
  test('the worst first: a dead kernel, what worked before, the interface, the rest', () => {
    assert.deepEqual(
      findingsOf(reviewed).map(({ severity, id }) => [severity, id]),
      [
        ['crash', 'injection.crash.a'],
        ['regression', 'stock.eoi'],
        ['interface', 'uapi.types'],
        ['behaviour', 'once.lost'],
        ['form', 'checklist 1'],
      ],
    );
  });

  test('checks with one known shortfall are one finding, with four lines of the log', () => {
    const lost = findingsOf(reviewed).find(({ id }) => id === 'once.lost')!;
    assert.deepEqual([lost.also, lost.log], [['once.as-well'], ['one', 'two', 'three', 'four']]);
  });

  test('a kernel that dies of a probe is told so, once, before all else', () => {
    const why = 'The kernel inside the svm machine crashed: Kernel panic - not syncing';
    const reason = `it was not found out whether this kernel knows KVM_DSM_IPI: ${why}`;
    const needing = ['injection.a', 'injection.b'].map((id) => check(id, { verdict: 'fail', reason }));
    const dead = found(
      [runOf([...needing, check('capability.probe.ipi', { verdict: 'fail', reason: why })], { ipi: why })],
      [],
    );
    assert.deepEqual(
      findingsOf(dead).map(({ severity, id }) => [severity, id]),
      [['crash', 'capability.probe.ipi']],
    );
    assert.match(replyOf(dead, '1'), /^Verdict: it builds and boots\.\s+IT DIES ON svm WHEN IT IS PROBED\./m);
    assert.match(replyOf(dead, '1'), /whether\s+KVM_DSM_IPI is known[\s\S]*Kernel panic/);
  });
});

test('a check that ran out of its deadline passes by three further turns alone, and that is told', () => {
  const late = ['a', 'b', 'c'].map((id) => check(id, { verdict: 'fail', cause: 'deadline', reason: 'no exit' }));
  const wrong = check('d', { verdict: 'fail', cause: 'check' as Judged['cause'], reason: 'another' });
  const run = runOf([...late, wrong]);
  assert.deepEqual(
    lateChecks(run).map(({ id }) => id),
    ['a', 'b', 'c'],
  );
  const turns = ['a', 'a', 'a', 'b', 'b'].map((id) => check(id));
  const again = withSecond(run, runOf([...turns, check('b', { verdict: 'fail' }), check('c')]));
  assert.deepEqual(
    again.checks.map(({ id, verdict }) => `${id} ${verdict}`),
    ['a pass', 'b fail', 'c fail', 'd fail'],
  );
  assert.deepEqual([again.totals.pass, again.totals.fail, lateChecks(again)], [1, 3, []]);
  assert.match(replyOf(found([again], []), '1'), /note: {4}a ran out of its deadline, and then passed 3 times/);
});

test('checks that had no turn are no finding, and no pass either', () => {
  const left = check('matrix.a', { verdict: 'fail', cause: 'not-run', reason: 'not run: the time is over' });
  const short = found([runOf([check('once.lost'), left])], []);
  assert.deepEqual([findingsOf(short), verdictOf(short), exitCodeOf(short)], [[], 'not finished', 3]);
  const words =
    /^Verdict: .*nothing was found in what was run\.\nOn svm 1 of 2 checks HAD NO TURN: not run: the time is\s+over$/m;
  assert.match(replyOf(short, '1'), words);
  assert.match(ktapOf(short), /^not ok \d+ suite\.svm/m);
});

describe('the reply', () => {
  const reply = replyOf(reviewed, '1.2.3');

  test('has no line of more than 72 columns', () => {
    assert.deepEqual(
      reply.split('\n').filter((line) => line.length > COLUMNS),
      [],
    );
  });

  test('has each finding with its number, and the checklist says which finding tells of a rule', () => {
    assert.match(reply, /^Verdict: [^=]*\s5 findings,\s+the worst first\.$/m);
    assert.match(reply, /^== Takes the kernel down\n\n1\. injection\.crash\.a \(svm\)/m);
    assert.match(reply, /^1 {3}A rule: BROKEN: finding 5\n {4}looked at: the header$/m);
  });

  test('KTAP has the same', () => {
    assert.match(ktapOf(reviewed), /^# verdict: findings$[\s\S]*^not ok 4 suite\.svm # 4 of 4 do not hold$/m);
  });

  const cases = [
    `npx kvm-dsm test once.lost --strict --seed 1 --on svm --kernel ${path}`,
    `npx kvm-dsm test once.lost --strict --destructive --on svm --kernel /${'long/'.repeat(30)}bzImage`,
    `npx kvm-dsm review ${'some-series-of-patches/'.repeat(6)}a.mbox --base v6.12 --checklist`,
  ];
  for (const command of cases)
    test(`a shell takes ${command.slice(0, 40)}... over several lines as it was`, () => {
      const lines = wrappedCommand(command);
      assert.ok(lines.length > 1 && lines.every((line) => line.length <= COLUMNS), lines.join('\n'));
      const script = `set -- ${lines.join('\n').replace(/^ {2}\$ /, '')}\nprintf '%s\\n' "$*"`;
      assert.equal(execFileSync('sh', ['-c', script], { encoding: 'utf8' }).trim(), command);
    });

  test('a line of code has one command each', () => {
    const commands = [...reply.matchAll(/^ {2}\$ (npx kvm-dsm \S+ \S+)/gm)].map(([, command]) => command);
    assert.deepEqual(commands, [
      'npx kvm-dsm test injection.crash.a',
      'npx kvm-dsm test stock.eoi',
      'npx kvm-dsm review a.mbox',
      'npx kvm-dsm test once.lost',
      'npx kvm-dsm review a.mbox',
    ]);
  });
});

test('whose numbers a header has', () => {
  const line = (name: string, value: string) => `#define ${name}   ${value}\n`;
  const exit = line('KVM_EXIT_DSM_SEND_IRQ', '45');
  assert.equal(profileOf(exit), 'rfc-v2');
  assert.equal(profileOf(exit + line('KVM_CAP_X86_DSM', '249')), 'gvm-main');
  assert.equal(profileOf(line('KVM_EXIT_DSM_SEND_IRQ', '41')), 'gvm-old');
  assert.equal(profileOf(exit + line('KVM_CAP_X86_APIC_EXIT', '0x4453')), 'fixed-v1');
  assert.equal(profileOf(''), 'rfc-v2');
});
