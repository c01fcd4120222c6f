/** The line of progress: drawn and wiped on a terminal, and nowhere else. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { root } from '../support/command.ts';
import { labMissing } from '../support/lab.ts';

const noScript = spawnSync('script', ['--version']).status !== 0 && 'there is no `script` of util-linux here';

/** What a command writes to a terminal that is its standard output and error. */
function onTerminal(args: readonly string[], env: NodeJS.ProcessEnv = {}): string {
  const command = [process.execPath, `${root}dist/cli/main.js`, ...args].join(' ');
  const { CI: _, ...own } = process.env;
  const { status, stdout } = spawnSync('script', ['-qec', command, '/dev/null'], {
    cwd: root,
    env: { ...own, NODE_OPTIONS: '', KVM_DSM_LAB_SNAPSHOT: '0', TERM: 'xterm', ...env },
    encoding: 'utf8',
    timeout: 200_000,
    input: '',
  });
  assert.equal(status, 0, stdout);
  return stdout;
}

/** What stands on the terminal at the end: the escape sequences that erase and move are done. */
function screen(text: string): string[] {
  const lines = [''];
  let row = 0;
  let column = 0;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what a terminal reads
  for (const [piece, count, order] of text.matchAll(/\x1b\[\??(\d*)[;\d]*([A-Za-z])|[^\x1b]/gu)) {
    if (order === 'K') lines[row] = count === '2' ? '' : lines[row]!.slice(0, column);
    else if (order === 'A') row = Math.max(0, row - Number(count || 1));
    else if (order === 'B') row += Number(count || 1);
    else if (order === 'G') column = Number(count || 1) - 1;
    else if (piece === '\r') column = 0;
    else if (piece === '\n') row += 1;
    else if (order === undefined) {
      const line = (lines[row] ?? '').padEnd(column);
      lines[row] = line.slice(0, column) + piece + line.slice(column + 1);
      column += 1;
    }
    while (lines.length <= row) lines.push('');
  }
  return lines.map((line) => line.trimEnd()).filter((line) => line !== '');
}

const bar = /[|/\\-] booting the svm machine \(\d+ s\)/;
const run = ['run', 'examples/first-ipi.ts', '--on', 'svm'];

describe('progress', { skip: labMissing() || noScript, concurrency: 1, timeout: 600_000 }, () => {
  test('of a run: drawn while the machine boots, and gone at the end', () => {
    const text = onTerminal(run);
    assert.match(text, bar);
    const left = screen(text);
    assert.deepEqual(
      left.filter((line) => !/^(on the svm lab|#\d vCPU|ok: )/.test(line)),
      [],
    );
    assert.match(left.at(-1)!, /^ok: 3 exits/);
  });

  test('of the suite: n of m, the check, and a report that is whole', () => {
    const text = onTerminal(['test', 'payload.icr', '--on', 'svm', '--machines', '1']);
    assert.match(text, bar);
    assert.match(text, /running payload\.icr\S*: \[\d+\/\d+\] payload\.icr/);
    const left = screen(text);
    assert.equal(left.filter((line) => /running payload|booting/.test(line)).length, 0, left.join('\n'));
    assert.match(left.join('\n'), /^\d+ pass, 0 fail/m);
  });

  for (const [what, args, env] of [
    ['in CI', [], { CI: '1' }],
    ['with --json', ['--json'], {}],
    ['with --quiet', ['--quiet'], {}],
  ] as const)
    test(`none ${what}`, () => {
      const text = onTerminal([...run, ...args], env);
      assert.doesNotMatch(text, bar);
      assert.doesNotMatch(text, /\[2K|\[\?2026h/);
    });

  test('none where standard error is no terminal: lines, as ever', () => {
    const { stdout, stderr } = spawnSync(process.execPath, [`${root}dist/cli/main.js`, 'lab', 'build'], {
      cwd: root,
      encoding: 'utf8',
      timeout: 200_000,
    });
    assert.match(stderr, /^0m\d\ds {2}kernel: .*\n$/);
    assert.doesNotMatch(stdout + stderr, /\[2K|\[\?2026h/);
  });
});
