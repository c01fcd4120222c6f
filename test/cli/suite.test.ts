/** `kvm-dsm test` on this machine: every way in which a check can end. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { kvmDsm, root } from '../support/command.ts';
import { noKvm, noStockKvm } from '../support/host.ts';
import { checksFile, reasonOf, runChecks, verdictsOf } from '../support/suite.ts';

/** The processes that run checks for this one. */
function workersOf(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'ascii').trim().split(' ').filter(Boolean);
  return children
    .map(Number)
    .filter((child) => readFileSync(`/proc/${child}/cmdline`, 'utf8').includes('--suite-worker'));
}

/** Looks until it holds; throws when the time is over. */
async function waitFor(holds: () => boolean, ms: number): Promise<void> {
  for (const ends = performance.now() + ms; !holds(); await delay(20))
    assert.ok(performance.now() < ends, `it does not come within ${ms} ms`);
}

describe('on this host', { skip: noKvm, concurrency: 1 }, () => {
  test('every verdict', () => {
    const { code, document } = runChecks(['plain', '--on', 'host', '--seed', '5']);
    assert.equal(code, 1);
    assert.deepEqual(verdictsOf(document), {
      'plain.passes': 'pass',
      'plain.fails': 'fail',
      'plain.expectation': 'fail',
      'plain.throws': 'fail',
      'plain.skips': 'skip',
      'plain.needs': 'skip',
      'plain.unsupported': 'skip',
      'plain.xfails': 'xfail',
      'plain.xfails-otherwise': 'fail',
      'plain.xpasses': 'xpass',
      'plain.nothing': 'fail',
      'plain.idle-machine': 'fail',
      'plain.no-effect': 'fail',
      'plain.effect': 'pass',
      'plain.random': 'fail',
      'plain.deadline-guest': 'fail',
      'plain.leaves-machine': 'fail',
    });
    assert.deepEqual(document.totals, { pass: 2, fail: 10, skip: 3, xfail: 1, xpass: 1 });
    assert.match(reasonOf(document, 'plain.fails'), /^the number <&"#\\ is 1, expected 2\n/);
    assert.match(
      reasonOf(document, 'plain.expectation'),
      /expected 2 exits, got 1.*expected.*actual.*^! KVM_EXIT_IO +\| -$/ms,
    );
    assert.match(reasonOf(document, 'plain.throws'), /^TypeError: a fault of the check\n.*checks\.ts/s);
    assert.equal(reasonOf(document, 'plain.skips'), 'no wish to say anything');
    assert.equal(reasonOf(document, 'plain.needs'), 'the moon is not here');
    assert.match(reasonOf(document, 'plain.unsupported'), /KVM_CAP_MOON/);
    assert.match(reasonOf(document, 'plain.xfails'), /^arithmetic \(Peano\)\nthe number is 1, expected 2/);
    assert.match(reasonOf(document, 'plain.xpasses'), /^expected to fail, and did not: arithmetic/);
    assert.match(reasonOf(document, 'plain.nothing'), /proved nothing: the check made no machine/);
    assert.match(reasonOf(document, 'plain.idle-machine'), /proved nothing: machine 2 of 2 made no exit/);
    assert.match(reasonOf(document, 'plain.deadline-guest'), /did not come to an access to port 0x10.*rip/s);
  });

  test('--strict makes a known shortfall a failure', () => {
    const loose = runChecks(['plain.xfails', '--on', 'host']);
    const strict = runChecks(['plain.xfails', '--on', 'host', '--strict']);
    assert.equal(loose.document.totals.xfail, 1);
    assert.deepEqual([strict.code, strict.document.totals.fail, strict.document.totals.xfail], [1, 2, 0]);
  });

  test('a check that takes its process with it fails by name, and the rest runs', () => {
    const { code, document } = runChecks(['rough', '--on', 'host']);
    assert.equal(code, 1);
    assert.deepEqual(verdictsOf(document), {
      'rough.first': 'pass',
      'rough.never': 'fail',
      'rough.behind-never': 'pass',
      'rough.aborts': 'fail',
      'rough.exits': 'fail',
      'rough.strays': 'fail',
      'rough.last': 'pass',
    });
    assert.match(reasonOf(document, 'rough.never'), /did not end within 300 ms/);
    assert.match(reasonOf(document, 'rough.aborts'), /its process ended: signal SIGABRT\n.*last words/s);
    assert.match(reasonOf(document, 'rough.exits'), /its process ended: exit code 0/);
    assert.match(reasonOf(document, 'rough.strays'), /astray/);
  });

  test('a check that never gives the processor back is killed', () => {
    const { document } = runChecks(['stuck', '--on', 'host']);
    assert.deepEqual(verdictsOf(document), { 'stuck.loops': 'fail', 'stuck.behind': 'pass' });
    const reason = reasonOf(document, 'stuck.loops');
    assert.match(reason, /it hung: it did not end within 200 ms/);
    assert.match(reason, /^thread \d+ \(node\), R \(running\)/m, 'where its threads are');
  });

  test('a worker does not outlive the command, even one that is killed', async () => {
    const args = [
      `${root}dist/cli/main.js`,
      'test',
      '--checks',
      checksFile,
      'stuck',
      '--on',
      'host',
      '--reporter',
      'tap',
    ];
    const command = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
    await once(command.stdout, 'data'); // the head: the worker is there
    const found = workersOf(command.pid!);
    assert.equal(found.length, 1);
    const isThere = () => existsSync(`/proc/${found[0]}/exe`);
    try {
      command.kill('SIGKILL');
      await once(command, 'exit');
      await waitFor(() => !isThere(), 10_000);
    } finally {
      if (isThere()) process.kill(found[0]!, 'SIGKILL');
    }
  });

  test('--timeout ends the run, and what did not run is no pass', () => {
    const { code, document } = runChecks(['stuck', '--on', 'host', '--timeout', '2']);
    assert.equal(code, 1);
    assert.deepEqual(verdictsOf(document), { 'stuck.loops': 'fail', 'stuck.behind': 'fail' });
    assert.match(reasonOf(document, 'stuck.loops'), /--timeout/);
    assert.match(reasonOf(document, 'stuck.behind'), /not run: the time that --timeout allows was over/);
  });

  test('--bail stops at the first failure and skips the rest with the reason', () => {
    const { code, document } = runChecks(['plain.passes', 'plain.fails', 'plain.effect', '--on', 'host', '--bail']);
    assert.equal(code, 1);
    assert.deepEqual(Object.values(verdictsOf(document)), ['pass', 'fail', 'skip']);
    assert.match(reasonOf(document, 'plain.effect'), /not run: plain\.fails failed, and --bail/);
  });

  test('a seed decides order and numbers', () => {
    const run = (...args: string[]) => runChecks(['plain', 'rough.*', '--on', 'host', '--shuffle', ...args]).document;
    const ids = (document: ReturnType<typeof run>) => document.checks.map(({ id }) => id);
    const one = run('--seed', '1');
    const again = run('--seed', '1');
    const two = run('--seed', '2');
    assert.deepEqual(ids(again), ids(one));
    assert.notDeepEqual(ids(two), ids(one));
    assert.deepEqual(ids(two).toSorted(), ids(one).toSorted());
    assert.equal(reasonOf(again, 'plain.random'), reasonOf(one, 'plain.random'));
    assert.notEqual(reasonOf(two, 'plain.random'), reasonOf(one, 'plain.random'));
    assert.deepEqual(verdictsOf(two), verdictsOf(one));
  });

  test('--repeat', () => {
    const { document } = runChecks(['plain.passes', 'plain.random', '--on', 'host', '--repeat', '3', '--seed', '9']);
    assert.deepEqual(
      document.checks.map(({ id, round }) => [id, round]),
      [1, 2, 3].flatMap((round) => ['plain.passes', 'plain.random'].map((id) => [id, round])),
    );
    const drawn = document.checks.flatMap(({ id, reason }) => (id === 'plain.random' ? [reason] : []));
    assert.equal(new Set(drawn).size, 3, 'each round draws its own numbers');
  });

  test('everything skipped is 4', () => {
    assert.equal(runChecks(['plain.skips', 'plain.needs', '--on', 'host']).code, 4);
  });

  test('the report for a person names every failed check with its cause', () => {
    const { code, stdout } = kvmDsm(['test', '--checks', checksFile, 'plain', '--on', 'host', '--seed', '7']);
    assert.equal(code, 1);
    const failed = stdout.slice(stdout.indexOf('\nfailed\n'));
    assert.match(failed, / plain\.fails\n +claim: One is two \(.*\)\n +the number <&"#\\ is 1, expected 2\n/);
    assert.match(failed, / plain\.nothing\n.*\n +proved nothing/);
    assert.match(failed, /2 pass, 10 fail, 3 skip, 1 xfail, 1 xpass\n/);
    assert.match(failed, /time: .* in checks.*\nslowest: /);
    assert.match(
      failed,
      /again: kvm-dsm test plain\.fails --on host --seed 7 --checks test\/cli\/scripts\/checks\.ts\n/,
    );
    assert.match(stdout, /^kvm-dsm \d+\.\d+\.\d+, profile rfc-v2\n.*\n +kernel +\S+/);
    assert.ok(!stdout.includes('\x1b'), 'no colours in a pipe');
  });

  test('the document has what the contract says, and a head', () => {
    const { document } = runChecks(['plain.passes', '--on', 'host', '--seed', '3']);
    const { version, on, profile, checks, totals, head } = document;
    assert.deepEqual({ version, on, profile }, { version: 1, on: 'host', profile: 'rfc-v2' });
    assert.equal(document.kernel, head.kernel);
    const { ms, ...check } = checks[0]!;
    assert.ok(Number.isInteger(ms));
    const fields = { id: 'plain.passes', claim: 'A guest leaves', source: checksFile, verdict: 'pass', reason: null };
    assert.deepEqual(check, fields);
    assert.deepEqual(totals, { pass: 1, fail: 0, skip: 0, xfail: 0, xpass: 0 });
    for (const name of ['package', 'seed', 'config', 'cpu', 'parameters', 'forwards']) assert.ok(name in head, name);
  });
});

describe('the suite itself', { skip: noStockKvm }, () => {
  test('on a stock kernel the checks of the series are skipped with the reason, the others pass', () => {
    const { code, stdout } = kvmDsm(['test', '--on', 'host', '--json']);
    assert.equal(code, 0, stdout);
    const { totals, checks } = JSON.parse(stdout);
    assert.deepEqual([totals.fail, totals.xfail, totals.xpass], [0, 0, 0]);
    assert.ok(totals.pass > 0 && totals.skip > 0);
    const missing =
      /^(that is a claim of profile |profile rfc-v2 has no opt-in|this kernel (does not forward|lacks|makes none|forwards no|has no) |it may take the kernel down: |this KVM offers no |neither kvm_intel nor kvm_amd|kvm_(amd|intel) does not run guests here|there is no (module parameter|PCI function))/;
    for (const { verdict, reason } of checks) if (verdict === 'skip') assert.match(reason, missing);
  });
});

test('a report that is longer than a pipe holds arrives whole', { skip: noKvm }, () => {
  const { code, stdout } = kvmDsm(['test', '--on', 'host', '--checks', 'test/cli/scripts/long-reason.ts', '--json']);
  assert.equal(code, 1);
  const { checks } = JSON.parse(stdout) as { checks: { reason: string }[] };
  assert.ok(checks[0]!.reason.length > 2_000_000);
});

test('a reader that goes away is no error of the command', { skip: noKvm }, () => {
  const args = ['test', '--on', 'host', '--checks', 'test/cli/scripts/long-reason.ts', '--json'];
  const head = ['bash', '-o', 'pipefail', '-c', '"$@" | head -c 1', '-'];
  assert.deepEqual(kvmDsm(args, 60, head), { code: 1, stdout: '{', stderr: '' });
});

const usage: [what: string, args: string[], said: RegExp][] = [
  ['a pattern that names nothing', ['--on', 'host', 'no-such-check'], /No check is named by no-such-check/],
  [
    'a reporter that does not exist',
    ['--reporter', 'morse'],
    /Allowed choices are spec, ktap, tap, tap14, junit, json/,
  ],
  ['a seed that is none', ['--seed', '-1'], /integer from 0/],
  ['rounds that are none', ['--repeat', '0'], /integer from 1/],
  ['a script of checks that does not exist', ['--checks', 'no/such.ts'], /ERR_SCRIPT_MISSING/],
  [
    'a script that exports no subjects',
    ['--checks', 'test/cli/scripts/neighbour.ts'],
    /the script exports no `subjects`[\s\S]*A script is run by `kvm-dsm run`/,
  ],
];

for (const [what, args, said] of usage) {
  test(what, () => {
    const { code, stdout, stderr } = kvmDsm(['test', ...args]);
    assert.match(stdout + stderr, said);
    assert.equal(code, 2);
  });
}

test('a device that is no KVM: 3', () => {
  assert.equal(kvmDsm(['test', '--on', 'host', '--device', '/dev/null']).code, 3);
});

test('--list needs no KVM, and names claims and sources', () => {
  const { code, stdout } = kvmDsm(['test', '--list', 'payload.*', '--device', '/dev/null']);
  assert.equal(code, 0);
  assert.match(stdout, /^payload: .*\n {2}payload\.\S+\n {4}\S.* \(\S.*\)\n/);
  assert.ok(!stdout.includes('capability.'));
  const { checks } = JSON.parse(kvmDsm(['test', '--list', '--json']).stdout);
  for (const { id, claim, source } of checks) assert.ok(id && claim && source);
});
