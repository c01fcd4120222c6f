import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { jsonLines, kvmDsm, root } from '../support/command.ts';
import { noKvm } from '../support/host.ts';
import { labMissing } from '../support/lab.ts';

const file = 'test/cli/scripts/port.test.ts';
const [major, minor] = process.versions.node.split('.').map(Number) as [number, number];
const noVitest = major > 20 || minor >= 19 ? noKvm : 'vitest needs Node 20.19';

/** One file, with a failing test or without, under a runner of another. */
function node(args: readonly string[], fail: boolean) {
  const env = { ...process.env, NODE_OPTIONS: '', NODE_TEST_CONTEXT: undefined, FAIL: fail ? '1' : '' };
  return spawnSync(process.execPath, args, { cwd: root, env, encoding: 'utf8', timeout: 120_000 });
}

for (const [runner, args, skip] of [
  ['node --test', ['--import', 'tsx', '--test', file], noKvm],
  ['vitest', [join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--globals', file], noVitest],
] as const)
  test(`${runner} passes, and fails with the test that fails`, { skip }, () => {
    const passes = node(args, false);
    assert.equal(passes.status, 0, passes.stdout + passes.stderr);
    const fails = node(args, true);
    assert.match(fails.stdout + fails.stderr, /port is 0x42, expected 0x43/);
    assert.equal(fails.status, 1);
  });

for (const [lane, skip] of [
  ['host', noKvm],
  ['svm', labMissing()],
] as const) {
  test(`kvm-dsm run on ${lane} waits for the tests, and fails with the test that fails`, { skip }, () => {
    const passes = kvmDsm(['run', file, '--on', lane, '--json'], 300);
    assert.equal(passes.code, 0, passes.stdout + passes.stderr);
    assert.match(passes.stderr, /a file beside the script is there/);
    assert.deepEqual(jsonLines(passes.stdout).at(-1), { type: 'result', ok: true, exits: 1 });
    const fails = kvmDsm(['run', file, '--on', lane, '--json', '--', 'fail'], 300);
    const { ok, error } = jsonLines(fails.stdout).at(-1) as { ok: boolean; error: { code: string } };
    assert.deepEqual([ok, error.code, fails.code], [false, 'ERR_EXPECTATION', 1]);
  });
}
