import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Check, checksById, shortfallsOf, subject } from '../../../lib/suite/check.ts';
import { CheckError, SuiteWorkerError } from '../../../lib/suite/errors.ts';
import { exitCodeOf, judge, totalsOf } from '../../../lib/suite/run/judge.ts';
import { planOf, select } from '../../../lib/suite/run/plan.ts';
import type { Outcome } from '../../../lib/suite/run/protocol.ts';
import { superviseWorkers } from '../../../lib/suite/run/supervisor.ts';
import { subjects } from '../../../lib/suite/subjects/index.ts';
import { checkCount, suiteFiles, suitePages } from '../../../tools/docs-suite.ts';
import { root } from '../../support/command.ts';

type Judged = Parameters<typeof judge>[2];
const good: Check = { id: 'word.more', claim: 'It is so', source: 'SDM', run() {} };

test('a check of another form is refused', () => {
  const refused: [Partial<Check>, RegExp][] = [
    [{ id: 'other.more' }, /id 'other\.more'/],
    [{ id: 'word' }, /id 'word'/],
    [{ id: 'word.More' }, /id 'word\.More'/],
    [{ id: 'word..more' }, /id 'word\.\.more'/],
    [{ claim: 'Two\nlines' }, /claim/],
    [{ claim: 'A sentence.' }, /claim/],
    [{ claim: 'A # in it' }, /claim/],
    [{ source: '' }, /source/],
    [{ deadline: 'soon' as never }, /deadline/],
    [{ run: undefined as never }, /run/],
  ];
  for (const [wrong, said] of refused) assert.throws(() => subject('word', 'a title', [{ ...good, ...wrong }]), said);
  assert.throws(() => subject('Word', 'a title', []), /name 'Word'/);
  assert.throws(() => checksById([subject('word', 'a title', [good, good])]), /two checks with the id word\.more/);
  assert.equal(subject('word', 'a title', [good]).checks.length, 1);
});

test('the suite has unique ids, and its pages have all of them', () => {
  const ids = [...checksById(subjects).keys()];
  assert.ok(ids.length >= 10);
  const pages = suitePages();
  assert.deepEqual(suiteFiles().sort(), [...pages.keys()].sort(), 'run `npm run docs:suite`');
  for (const [path, text] of pages)
    assert.equal(readFileSync(join(root, path), 'utf8'), text, `${path}: run \`npm run docs:suite\``);
  const all = [...pages.values()].join('');
  for (const id of ids) assert.ok(all.includes(`| \`${id}\` |`), id);
});

test('pages that say how many checks there are say the right number', () => {
  for (const page of ['README.md', 'docs/tutorial.md', 'docs/suite.md']) {
    const numbers = [...readFileSync(join(root, page), 'utf8').matchAll(/(\d+) checks/g)].map(([, count]) =>
      Number(count),
    );
    assert.deepEqual(new Set(numbers), new Set([checkCount()]), page);
  }
});

test('patterns are parts of ids or globs of whole ones', () => {
  const ids = ['a.x.one', 'a.y.one', 'b.x.two'];
  assert.deepEqual(select(ids, []), ids);
  assert.deepEqual(select(ids, ['x']), ['a.x.one', 'b.x.two']);
  assert.deepEqual(select(ids, ['a.*']), ['a.x.one', 'a.y.one']);
  assert.deepEqual(select(ids, ['*.one', 'b']), ids);
  assert.deepEqual(select(ids, ['x.*']), []);
  assert.deepEqual(select(ids, ['a.?.one']), ['a.x.one', 'a.y.one']);
  assert.deepEqual(select(ids, ['a?x']), [], 'a whole id');
  assert.deepEqual(select(ids, ['a.x(']), []);
});

test('a plan repeats whole rounds and numbers its items', () => {
  const plan = planOf(subjects, { patterns: ['payload.icr.delivery-mode'], repeat: 2, shuffle: true, seed: 3 });
  assert.deepEqual(
    plan.map(({ n }) => n),
    plan.map((_, i) => i),
  );
  const [first, second] = [1, 2].map((round) => plan.filter((item) => item.round === round).map(({ id }) => id));
  assert.equal(first!.length, 8);
  assert.deepEqual(first!.toSorted(), second!.toSorted());
  assert.notDeepEqual(first, second);
});

test('a shortfall turns its own failure into xfail, and no other one', () => {
  const known: Check = { ...good, shortfall: { reason: 'lost', source: 'abi.md', cause: /one exit/ } };
  const fail = (reason: string, cause: 'claim' | 'not-run' = 'claim') =>
    ({ kind: 'fail', cause, reason, detail: '' }) as const;
  const [mild, strict] = [false, true].map((strict) => ({ profile: 'rfc-v2', strict })) as [Judged, Judged];
  assert.equal(judge(known, fail('got one exit'), mild).verdict, 'xfail');
  assert.equal(judge(known, fail('got one exit'), strict).verdict, 'fail');
  assert.equal(judge(known, fail('got none'), mild).verdict, 'fail');
  assert.equal(judge(known, fail('one exit', 'not-run'), mild).verdict, 'fail');
  assert.equal(judge(known, { kind: 'pass' }, strict).verdict, 'xpass');
  assert.equal(judge(known, { kind: 'skip', reason: 'no KVM' }, mild).verdict, 'skip');
});

test('a shortfall counts under the profiles that it names, each has its own, and no profile has two', () => {
  const shortfall = [
    { profiles: ['rfc-v2'], reason: 'lost', source: 'abi.md' },
    { profiles: ['other'], reason: 'late', source: 'abi.md' },
  ];
  const failed = { kind: 'fail', cause: 'claim', reason: 'no exit', detail: '' } as const;
  const verdictOf = (profile: string, outcome: Outcome) => {
    const { verdict, reason } = judge({ ...good, shortfall }, outcome, { profile, strict: false });
    return [verdict, reason];
  };
  assert.deepEqual(verdictOf('rfc-v2', failed), ['xfail', 'lost (abi.md)']);
  assert.deepEqual(verdictOf('other', failed), ['xfail', 'late (abi.md)']);
  assert.deepEqual(verdictOf('third', failed), ['fail', 'no exit']);
  assert.deepEqual(verdictOf('third', { kind: 'pass' }), ['pass', null]);
  assert.equal(verdictOf('rfc-v2', { kind: 'pass' })[0], 'xpass');
  const built = { ...good, shortfall: { reason: 'lost', source: 'abi.md', sometimes: true } };
  assert.equal(judge(built, { kind: 'pass' }, { profile: 'rfc-v2', strict: false }).verdict, 'pass', 'as it was built');
  assert.equal(judge(built, failed, { profile: 'rfc-v2', strict: false }).verdict, 'xfail');
  const made = (wrong: Check['shortfall']) => () => subject('word', 'a title', [{ ...good, shortfall: wrong! }]);
  assert.throws(made(shortfall), /profiles\[0\] "other" is none of/, 'a profile that there is not');
  assert.throws(made([{ reason: 'lost', source: 'abi.md' }, shortfall[0]!]), /two shortfalls for profile rfc-v2/);
  assert.equal(made(shortfall[0]!)().checks.length, 1);
});

test("each shortfall of the suite's own checks names its profiles", () => {
  const unnamed = subjects
    .flatMap(({ checks }) => checks)
    .filter((check) => shortfallsOf(check).some(({ profiles }) => profiles === undefined));
  assert.deepEqual(
    unnamed.map(({ id }) => id),
    [],
  );
});

test('exit codes: 0 pass, 1 fail, 4 everything skipped', () => {
  const codeOf = (...verdicts: ('pass' | 'fail' | 'skip' | 'xfail' | 'xpass')[]) =>
    exitCodeOf(totalsOf(verdicts.map((verdict) => ({ verdict }))));
  assert.deepEqual([codeOf('pass', 'skip'), codeOf('xfail'), codeOf('xpass')], [0, 0, 0]);
  assert.deepEqual([codeOf('pass', 'fail'), codeOf('skip', 'fail')], [1, 1]);
  assert.equal(codeOf('skip', 'skip'), 4);
});

test('a worker that does not come up ends the run', async () => {
  const worker = { command: process.execPath, args: ['-e', 'console.error("no worker"); process.exit(7)'] };
  const options = { worker, module: null, seed: 0, device: '/dev/kvm', profile: 'rfc-v2', mark: null };
  const checks = checksById([subject('word', 'a title', [good])]);
  const sink = { facts() {}, start() {}, outcome: () => true, note() {} };
  const limits = { timeoutMs: 60_000, endWhenBroken: false };
  const items = [{ n: 0, id: good.id, round: 1 }];
  const error = await superviseWorkers(items, { ...options, ...limits, checks }, sink).catch(
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof SuiteWorkerError);
  assert.equal(error.code, 'ERR_SUITE_WORKER');
  assert.equal(error.exitCode, 3);
  assert.match(error.message, /does not come up: exit code 7\nno worker/);
});

test('a claim that does not hold shows both sides', () => {
  const error = CheckError.differs('the vector', 0x41, 0xf0);
  assert.equal(error.code, 'ERR_CHECK');
  assert.equal(error.message, 'the vector is 65 (0x41), expected 240 (0xf0)');
  assert.match(CheckError.differs('the exits', ['a', 1n], []).message, /^the exits is \[ 'a', 1n \], expected \[\]$/);
});
