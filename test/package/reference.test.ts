import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { root } from '../support/command.ts';
import { testFolder } from '../support/test-folder.ts';

function reference(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const command = ['tools/reference/main.mjs', ...args];
  return spawnSync(process.execPath, command, { cwd: root, encoding: 'utf8', timeout: 300_000 });
}

test('everything that programs import has a text, and every type that it names can be imported', () => {
  const { status, stdout, stderr } = reference('--gaps');
  assert.equal(status, 0, stderr);
  const gaps = stdout.split('\n').filter((line) => line !== '');
  assert.deepEqual(gaps, [], 'write its docstring, or export the type');
  assert.equal(stderr, '', 'typedoc warns of nothing, such as a link that leads nowhere');
});

test('the reference has a page for each entry and each class', () => {
  const folder = join(testFolder(), 'reference');
  const { status, stderr } = reference(folder);
  assert.equal(status, 0, stderr);
  for (const page of [
    'index.html',
    'modules/kvm-dsm_kvm.html',
    'modules/kvm-dsm_node-test.html',
    'modules/kvm-dsm_vitest.html',
    'classes/kvm-dsm.Machine.html',
    'classes/kvm-dsm.Vcpu.html',
  ])
    assert.ok(existsSync(join(folder, page)), page);
  assert.match(readFileSync(join(folder, 'classes/kvm-dsm.Vcpu.html'), 'utf8'), /KVM_RUN/);
});

test('two folders are refused', () => {
  const { status, stderr } = reference('one', 'two');
  assert.equal(status, 2);
  assert.match(stderr, /^One folder, not 2/);
});
