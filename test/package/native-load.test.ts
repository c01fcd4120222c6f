/** A package whose addon is missing or damaged, in a process of its own: here the addon is loaded already. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { root } from '../support/command.ts';
import { testFolder } from '../support/test-folder.ts';

const work = testFolder();

/** The built package without its addon. */
function copyOf(name: string): string {
  const copy = join(work, name);
  mkdirSync(copy);
  for (const entry of ['dist', 'package.json']) cpSync(join(root, entry), join(copy, entry), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
  return copy;
}

/** What `Kvm.open` throws there; importing the package alone does not. */
function refusal(copy: string): { code: string; exitCode: number; message: string; advice: string } {
  const program = `const { Kvm } = await import(${JSON.stringify(`${copy}/dist/index.js`)});
    try { Kvm.open(); } catch (error) {
      const { code, exitCode, message, advice } = error;
      console.log(JSON.stringify({ code, exitCode, message, advice }));
    }`;
  const args = ['--input-type=module', '-e', program];
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 60_000 });
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout);
}

test('a package without an addon for this machine', () => {
  const copy = copyOf('installed');
  const { code, exitCode, message, advice } = refusal(copy);
  assert.deepEqual([code, exitCode], ['ERR_NATIVE_LOAD', 3]);
  assert.ok(message.includes(copy), message);
  assert.match(advice, /has no prebuilt addon: install it again/);
});

test('a checkout that nobody has built', () => {
  const copy = copyOf('checkout');
  cpSync(join(root, 'binding.gyp'), join(copy, 'binding.gyp'));
  const { code, advice } = refusal(copy);
  assert.equal(code, 'ERR_NATIVE_LOAD');
  assert.match(advice, /npm run build:native/);
});

test('an addon that is no library', () => {
  const copy = copyOf('damaged');
  mkdirSync(join(copy, 'build/Release'), { recursive: true });
  writeFileSync(join(copy, 'build/Release/kvm_dsm.node'), 'half of a download\n'.repeat(100));
  const { code, message } = refusal(copy);
  assert.equal(code, 'ERR_NATIVE_LOAD');
  assert.match(message, /kvm_dsm\.node: invalid ELF header/);
});

test('the doctor names the addon, and the command ends with 3', () => {
  const main = join(copyOf('doctor'), 'dist/cli/main.js');
  const { stdout, status } = spawnSync(process.execPath, [main, 'doctor', '--on', 'host', '--json'], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  const checks = JSON.parse(stdout).checks as { id: string; status: string }[];
  const failed = checks.filter(({ status }) => status === 'fail').map(({ id }) => id);
  assert.deepEqual(
    failed.filter((id) => /^(addon|device)/.test(id)),
    ['addon'],
  );
  assert.equal(status, 3);
});
