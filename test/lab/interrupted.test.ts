/** Ctrl-C while a command is in the lab, or on its way there: a word, totals, valid reports, and nothing is left. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { DOMParser } from '@xmldom/xmldom';
import { Parser } from 'tap-parser';
import { runInLab } from '../../lib/lab/index.ts';
import { jsonLines } from '../support/command.ts';
import { emulates, foldersOf, interrupted } from '../support/interrupt.ts';
import { labMissing } from '../support/lab.ts';
import type { SuiteDocument } from '../support/suite.ts';
import { script } from './boot.ts';

const lane = ['--on', 'svm'];
const suite = ['test', 'payload', ...lane];
/** The machine is about to be started, or is. */
const laidOut = (own: Parameters<typeof foldersOf>[0]) => foldersOf(own).length > 0;

interface Bailed {
  bailout: unknown;
  count: number;
  plan: number;
}

function readTap(text: string): Bailed {
  const parser = new Parser({ strict: true });
  const unknown: string[] = [];
  parser.on('extra', (line) => unknown.push(line));
  parser.end(text);
  // KTAP's own first line.
  assert.deepEqual(
    unknown.filter((line) => !/^ *KTAP version 1$/m.test(line)),
    [],
    'every line is TAP',
  );
  const { bailout, count, plan } = parser.results!;
  return { bailout, count, plan: plan.end! };
}

describe('a signal', { skip: labMissing(), concurrency: 1, timeout: 600_000 }, () => {
  test('before the machine is up: run', async () => {
    const { code, stdout } = await interrupted(['run', 'examples/first-ipi.ts', ...lane], {
      signal: 'SIGINT',
      when: laidOut,
    });
    assert.equal(code, 130);
    assert.match(stdout, /^not ok: interrupted by SIGINT while booting the svm machine \[ERR_INTERRUPTED\]/);
    assert.match(stdout, /^0 exits, 0 of them forwarded ICR writes; the script had not begun$/m);
  });

  test('while a script runs: run --json', async () => {
    const { code, stdout } = await interrupted(['run', 'test/lab/scripts/waits.ts', ...lane, '--json'], {
      signal: 'SIGTERM',
      when: /"name":"KVM_EXIT_IO"/,
    });
    assert.equal(code, 143);
    const last = jsonLines(stdout).at(-1) as Record<string, unknown> & { error: { code: string; message: string } };
    assert.deepEqual([last.type, last.ok, last.exits, last.error.code], ['result', false, 1, 'ERR_INTERRUPTED']);
    assert.equal(last.error.message, 'interrupted by SIGTERM while running the script');
  });

  test('while histories are tried: explore', async () => {
    const { code, stdout, stderr } = await interrupted(['explore', ...lane, '--for', '300s'], {
      signal: 'SIGINT',
      when: /^exploring 2 vCPUs on the svm lab/m,
    });
    assert.equal(code, 130);
    assert.match(stdout, /^exploring 2 vCPUs on the svm lab .*, seed \d+\n$/);
    assert.match(stderr, /^error: interrupted by SIGINT while /m);
  });

  for (const command of ['abi', 'doctor'])
    test(`while the machine boots: ${command}`, async () => {
      const { code, stderr } = await interrupted([command, ...lane], { signal: 'SIGINT', when: emulates });
      assert.equal(code, 130);
      assert.match(stderr, /^error: interrupted by SIGINT while booting the svm machine \[ERR_INTERRUPTED\]/m);
    });

  test('while the machine boots that is to stay: lab up', async () => {
    const { code, stderr } = await interrupted(['lab', 'up', ...lane], { signal: 'SIGTERM', when: emulates });
    assert.equal(code, 143);
    assert.match(stderr, /interrupted by SIGTERM while booting the svm machine/);
  });

  test('while checks run in two machines: KTAP bails out below what has ended', async () => {
    const args = [...suite, '--machines', '2', '--reporter', 'spec'];
    const { code, stdout } = await interrupted(args, { signal: 'SIGINT', when: /^ {2}pass /m });
    assert.equal(code, 130);
    assert.match(stdout, /^interrupted by SIGINT while running payload\.\S+: [1-9]\d* of \d+ checks had a result$/m);
    assert.match(stdout, /^[1-9]\d* pass, 0 fail,/m);
  });

  test('before checks have begun: KTAP', async () => {
    const { code, stdout } = await interrupted([...suite, '--reporter', 'ktap'], { signal: 'SIGINT', when: laidOut });
    assert.equal(code, 130);
    assert.deepEqual(
      { ...readTap(stdout), plan: 0 },
      {
        bailout: stdout.trimEnd().split('Bail out! ').at(-1),
        count: 0,
        plan: 0,
      },
    );
    assert.match(
      stdout,
      /^Bail out! interrupted by SIGINT while booting the svm machine: 0 of \d+ checks had a result$/m,
    );
  });

  test('while checks run: TAP', async () => {
    const { code, stdout } = await interrupted([...suite, '--reporter', 'tap'], { signal: 'SIGTERM', when: /^ok 2 /m });
    assert.equal(code, 143);
    const { bailout, count, plan } = readTap(stdout);
    assert.match(
      String(bailout),
      /^interrupted by SIGTERM while running payload\.\S+: \d+ of \d+ checks had a result$/,
    );
    assert.ok(count >= 2 && count < plan, `${count} of ${plan}`);
  });

  test('before checks have begun: JUnit and JSON', async () => {
    for (const reporter of ['junit', 'json']) {
      const args = [...suite, '--reporter', reporter];
      const { code, stdout } = await interrupted(args, { signal: 'SIGINT', when: emulates });
      assert.equal(code, 130);
      const why = /^interrupted by SIGINT while booting the svm machine/;
      if (reporter === 'json') {
        const { interrupted: told, checks, on } = JSON.parse(stdout) as SuiteDocument;
        assert.deepEqual([checks, on, told!.notRun > 0], [[], 'svm', true]);
        assert.match(told!.why, why);
        continue;
      }
      const [error] = [...new DOMParser().parseFromString(stdout, 'text/xml').getElementsByTagName('error')];
      assert.match(error!.getAttribute('message')!, why);
    }
  });

  test('where the command itself has the KVM: its workers end as well', async () => {
    // The shell ignores SIGINT for what it starts behind itself.
    const inside = script(
      'svm',
      `cd /tmp; /media/node /media/pkg/start.cjs test payload --on host --reporter tap >out 2>&1 & pid=$!
      busybox timeout 120 busybox tail -f -n +1 /tmp/out | busybox grep -q -m1 '^ok 1 '
      kill -TERM $pid; wait $pid; echo "code $?"
      for dir in /proc/[0-9]*; do busybox grep -q 'suite-worke[r]' $dir/cmdline && echo "left: $dir"; done 2>/dev/null
      busybox cat /tmp/out`,
    );
    await runInLab(inside);
    const [first, ...rest] = inside.stdout.text.split('\n');
    assert.equal(first, 'code 143', inside.stdout.text + inside.stderr.text);
    const { bailout, count } = readTap(rest.join('\n'));
    assert.match(String(bailout), /^interrupted by SIGTERM while running payload\./);
    assert.ok(count >= 1);
  });
});
