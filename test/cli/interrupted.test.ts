/** Ctrl-C, on this host. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { Parser } from 'tap-parser';
import { jsonLines } from '../support/command.ts';
import { noKvm } from '../support/host.ts';
import { interrupted, processesOf } from '../support/interrupt.ts';
import { checksFile } from '../support/suite.ts';
import { testFolder } from '../support/test-folder.ts';

const work = testFolder();
const script = (name: string, text: string): string => {
  const path = join(work, name);
  writeFileSync(path, text);
  return path;
};

describe('a signal on this host', { concurrency: 2, timeout: 180_000 }, () => {
  const waits = script('waits.ts', "console.log('going'); setInterval(() => {}, 1000);");

  for (const [signal, expected] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)
    test(`${signal}: a script that runs, its totals, and nothing is left`, async () => {
      const { code, stdout } = await interrupted(['run', waits, '--on', 'host'], { signal, when: /going/ });
      assert.equal(code, expected);
      assert.match(
        stdout,
        new RegExp(`^not ok: interrupted by ${signal} while running the script \\[ERR_INTERRUPTED\\]`, 'm'),
      );
      assert.match(stdout, /^0 exits, 0 of them forwarded ICR writes; ran on this host/m);
    });

  test('of two signals within a moment only the first counts', async () => {
    // npm and timeout send what the terminal has sent already.
    const { code, stdout } = await interrupted(['run', waits, '--on', 'host', '--json'], {
      signal: 'SIGINT',
      when: /going/,
      again: 'twice',
    });
    assert.equal(code, 130);
    const last = jsonLines(stdout).at(-1) as { type: string; error: { code: string; message: string } };
    assert.deepEqual([last.type, last.error.code], ['result', 'ERR_INTERRUPTED']);
  });

  test('the second one ends it at once, with a script that does not let itself be ended', async () => {
    const stubborn = script(
      'stubborn.ts',
      "for (const name of ['SIGINT', 'SIGTERM']) process.on(name, () => {}); console.log('going'); for (;;) {}",
    );
    const { code, stdout } = await interrupted(['run', stubborn, '--on', 'host'], {
      signal: 'SIGINT',
      when: /going/,
      again: 'always',
    });
    assert.equal(code, 130);
    assert.doesNotMatch(stdout, /not ok/, 'it had no time for a result');
  });

  test('a command that has nothing to put in order says so and ends', async () => {
    const { code, stderr } = await interrupted(['check', 'examples/first-ipi.ts'], {
      signal: 'SIGINT',
      when: (own) => processesOf(own, /tsconfig|tsc/).length > 0,
    });
    assert.equal(code, 130);
    assert.match(stderr, /^error: interrupted by SIGINT while .* \[ERR_INTERRUPTED\]/);
  });

  test('checks that run: TAP bails out', { skip: noKvm }, async () => {
    const args = ['test', '--checks', checksFile, 'stuck', '--on', 'host', '--reporter', 'tap'];
    const { code, stdout } = await interrupted(args, { signal: 'SIGINT', when: /^1\.\.2$/m });
    assert.equal(code, 130);
    const parser = new Parser({ strict: true });
    parser.end(stdout);
    assert.match(String(parser.results?.bailout), /^interrupted by SIGINT while .*: \d of 2 checks had a result$/);
  });
});
