import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { jsonLines, kvmDsm, root } from '../support/command.ts';
import { noKvm } from '../support/host.ts';
import { labMissing } from '../support/lab.ts';
import { machineUp } from '../support/machine-up.ts';
import { asNobody, cannotBeNobody } from '../support/nobody.ts';

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
    if (lane === 'svm') machineUp(lane);
    const passes = kvmDsm(['run', file, '--on', lane, '--json'], 300);
    assert.equal(passes.code, 0, passes.stdout + passes.stderr);
    assert.match(passes.stderr, /a file beside the script is there/);
    assert.deepEqual(jsonLines(passes.stdout).at(-1), { type: 'result', ok: true, exits: 1 });
    const fails = kvmDsm(['run', file, '--on', lane, '--json', '--', 'fail'], 300);
    const { ok, error } = jsonLines(fails.stdout).at(-1) as { ok: boolean; error: { code: string } };
    assert.deepEqual([ok, error.code, fails.code], [false, 'ERR_EXPECTATION', 1]);
  });
}

/** Where there is a KVM, somebody who may not use it stands for a host without. */
const withoutKvm = existsSync('/dev/kvm') ? asNobody : [];
const cannot = withoutKvm.length > 0 && cannotBeNobody;
const runners = [
  ['kvm-dsm/node-test', 'as-node-test.test.ts', ['--import', 'tsx', '--test', '--test-reporter=tap']],
  [
    'kvm-dsm/vitest',
    'as-vitest.test.ts',
    [join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--reporter=tap-flat', '--reporter=default'],
  ],
] as const;

for (const [entry, script, args] of runners) {
  const path = `test/cli/scripts/${script}`;
  const skipVitest = entry === 'kvm-dsm/vitest' && !(major > 20 || minor >= 19) && 'vitest needs Node 20.19';
  const started = (required: string) => {
    const env = { ...process.env, NODE_OPTIONS: '', NODE_TEST_CONTEXT: undefined, KVM_DSM_REQUIRE_KVM: required };
    const [command = process.execPath, ...rest] = [...withoutKvm, process.execPath, ...args, path];
    return spawnSync(command, rest, { cwd: root, env, encoding: 'utf8', timeout: 180_000 });
  };

  test(`${entry} without KVM: all is skipped, with the reason, and no hook runs`, {
    skip: cannot || skipVitest,
  }, () => {
    const { status, stdout, stderr } = started('');
    assert.equal(status, 0, stdout + stderr);
    assert.doesNotMatch(stdout, /^ *not ok/m);
    const lines = stdout.split('\n').filter((line) => /^ok /.test(line));
    assert.ok(lines.length >= 3, stdout);
    for (const line of lines) assert.match(line, /# SKIP/, line);
    if (entry === 'kvm-dsm/node-test') {
      assert.match(stdout, /# SKIP (There is no KVM device|No permission to open).*kvm-dsm doctor/);
      assert.match(stdout, /its own reason stays # SKIP not today/);
    }
  });

  test(`${entry} without KVM: a failure where KVM_DSM_REQUIRE_KVM is 1`, { skip: cannot || skipVitest }, () => {
    const { status, stdout, stderr } = started('1');
    assert.notEqual(status, 0, stdout);
    assert.match(stdout + stderr, /There is no KVM device|No permission to open/);
  });

  for (const [lane, skip] of [
    ['host', noKvm],
    ['svm', labMissing()],
    ['vmx', labMissing() || (entry === 'kvm-dsm/vitest' && 'one file is enough there')],
  ] as const)
    test(`${entry} in kvm-dsm run on ${lane}: the tests run`, { skip, timeout: 600_000 }, () => {
      if (lane === 'svm') machineUp(lane);
      const passes = kvmDsm(['run', path, '--on', lane], 280);
      assert.equal(passes.code, 0, passes.stdout + passes.stderr);
      assert.match(passes.stdout, /^. fail 0$/m);
      assert.match(passes.stdout, /^. skipped 2$/m);
      if (lane === 'vmx') return;
      const fails = kvmDsm(['run', path, '--on', lane, '--', 'fail'], 280);
      assert.equal(fails.code, 1);
      assert.match(fails.stdout, /1 of the tests failed/);
    });
}

test("kvm-dsm/vitest in kvm-dsm run: what is vitest's own is refused", async () => {
  const { test: it } = await import('../../lib/runner/as-vitest.ts');
  const refused = { code: 'ERR_ARGUMENT', message: /is vitest's own/ };
  assert.throws(() => (it as unknown as { concurrent: unknown }).concurrent, refused);
  assert.throws(() => it('one', { retry: 3 }, () => {}), refused);
});
