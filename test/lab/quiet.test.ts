/** `--quiet`: what a script prints, and what came of it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { jsonLines, kvmDsm } from '../support/command.ts';
import { labMissing } from '../support/lab.ts';

describe('--quiet', { skip: labMissing(), concurrency: 2, timeout: 300_000 }, () => {
  test('of a run that passes: one line, with all exits counted', () => {
    const { code, stdout, stderr } = kvmDsm(['run', 'examples/first-ipi.ts', '--on', 'svm', '--quiet'], 200);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^ok: 3 exits, 2 of them forwarded ICR writes; ran on the svm lab .*\n$/);
    assert.equal(stderr, '');
  });

  test('of a failure: all that there is to say, without the exits before it', () => {
    const args = ['run', 'test/broken/wrong-vector.ts', '--on', 'svm'];
    const [loud, quiet] = [args, [...args, '-q']].map((words) => kvmDsm(words, 200));
    assert.deepEqual([loud!.code, quiet!.code], [1, 1]);
    // Which lines of the kernel's log were of that time is a matter of the boot.
    const failure = (text: string) =>
      text
        .slice(text.indexOf('not ok: '))
        .replaceAll(/ *\d+\.?\d* [mu]s/g, ' - ms')
        .replace(/^kernel log.*\n(?: {2}\[.*\n)*/m, '');
    assert.match(quiet!.stdout, /^not ok: /);
    assert.match(loud!.stdout, /^#0 vCPU/m);
    assert.equal(failure(quiet!.stdout), failure(loud!.stdout));
  });

  test('with --json: what the script prints, and the result', () => {
    const args = ['run', 'test/lab/scripts/says.ts', '--on', 'svm', '--json', '--quiet'];
    const { code, stdout, stderr } = kvmDsm(args, 200);
    assert.equal(code, 0, stderr);
    const lines = jsonLines(stdout);
    const said = lines.flatMap(({ type, text }) => (type === 'stdout' ? [text] : [])).join('');
    assert.equal(said, 'one\ntwo\n');
    assert.deepEqual([...new Set(lines.map(({ type }) => type))], ['stdout', 'result']);
    assert.equal(lines.at(-1)!.exits, 2);
  });
});

test('is refused of a report that programs read', () => {
  const { code, stderr } = kvmDsm(['test', 'payload', '--on', 'svm', '--reporter', 'ktap', '--quiet']);
  assert.equal(code, 2);
  assert.match(stderr, /the report ktap is for programs.*\[ERR_ARGUMENT\]/);
});
