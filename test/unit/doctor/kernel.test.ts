/** What the doctor says of KVM's modules and of the kernel's log. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { checkModuleParameters } from '../../../lib/doctor/kernel.ts';
import { checkKernelLog } from '../../../lib/doctor/kernel-log.ts';
import { testFolder } from '../../support/test-folder.ts';

const root = testFolder();

function file(path: string, text: string): string {
  const full = join(root, path);
  mkdirSync(join(full, '..'), { recursive: true });
  writeFileSync(full, text);
  return full;
}

describe('the modules', () => {
  // Both are built in, as in the lab: the one that did not start has its defaults.
  for (const [path, value] of [
    ['kvm_intel/parameters/enable_apicv', 'Y'],
    ['kvm_intel/parameters/enable_ipiv', 'Y'],
    ['kvm_intel/parameters/ept', 'N'],
    ['kvm_amd/parameters/avic', 'N'],
    ['kvm_amd/parameters/npt', 'Y'],
  ] as const)
    file(`module/${path}`, `${value}\n`);
  const of = (module: 'kvm_intel' | 'kvm_amd' | null) =>
    checkModuleParameters(join(root, 'module'), module).map(({ id, status }) => `${id} ${status}`);

  test('only those of the vendor whose CPU this is', () => {
    assert.deepEqual(of('kvm_amd'), ['module.avic ok', 'module.npt ok']);
    assert.deepEqual(of('kvm_intel'), ['module.enable_apicv warn', 'module.enable_ipiv warn', 'module.ept warn']);
    assert.deepEqual(of(null), []);
  });
});

describe("the kernel's log since its boot", () => {
  const check = (log: string, taint = '0\n') => {
    const { status, finding, advice } = checkKernelLog(log, file('tainted', taint));
    assert.equal(advice !== null, status === 'warn', 'a warning says what to do');
    return `${status}: ${finding}`;
  };

  test('without a report, and with some: the first one', () => {
    assert.match(check(file('kmsg', '6,0,0,-;Linux version 6.12\n')), /^ok: /);
    // A file gives all its records at once, /dev/kmsg one by one.
    assert.equal(
      check(file('kmsg', '4,0,0,-;UBSAN: shift-out-of-bounds in a.c:1:2\n')),
      "warn: The kernel's log has undefined behaviour (UBSAN): UBSAN: shift-out-of-bounds in a.c:1:2",
    );
  });

  test('where it cannot be read, the taint tells', () => {
    const none = join(root, 'none');
    assert.match(check(none), /^note: Here the kernel's log is not watched: ENOENT/);
    assert.match(check(none, '1\n'), /^note: /);
    assert.match(
      check(none, `${(1 << 9) | (1 << 7) | 1}\n`),
      /^warn: The kernel is tainted by an oops or a BUG\(\), a WARN\(\) \(/,
    );
  });
});
