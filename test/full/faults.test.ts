/** The faults that the lab's kernels can be given: whether the suite notices each named one, and how many of those drawn. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { root } from '../support/command.ts';
import { labMissing } from '../support/lab.ts';

const skip = labMissing();
const HOUR = 3_600_000;
/** How many faults are drawn, and the share of them that has to be noticed. */
const DRAWN = 200;
const SHARE = 0.95;

/** `npm run mutants -- ARGS`, with its exit code and its last lines. */
function mutants(args: readonly string[]): { code: number | null; said: string } {
  const command = ['--import', 'tsx', 'test/mutants/main.ts', '--on', 'svm', '--timeout', '14000', ...args];
  const { status, stdout, stderr } = spawnSync(process.execPath, command, {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    timeout: 4 * HOUR,
  });
  return { code: status, said: `${stdout}\n${stderr.split('\n').slice(-20).join('\n')}` };
}

for (const profile of ['rfc-v2', 'fixed-v1'])
  test(`each named fault is caught, and nothing fires without cause: ${profile}`, { skip, timeout: 5 * HOUR }, () => {
    const { code, said } = mutants(['--profile', profile]);
    assert.equal(code, 0, said);
  });

test(`of ${DRAWN} drawn faults ${SHARE * 100} % are noticed`, { skip, timeout: 5 * HOUR }, (t) => {
  // One that was not there when the checks were written.
  const seed = Math.floor(Date.now() / 1000) % 2 ** 32;
  const { said } = mutants(['--random', String(DRAWN), '--seed', String(seed)]);
  const share = /^(\d+) of (\d+) faults noticed.*$/m.exec(said);
  assert.ok(share, said);
  t.diagnostic(share[0]);
  assert.equal(Number(share[2]), DRAWN);
  assert.ok(Number(share[1]) / DRAWN >= SHARE, said);
});
