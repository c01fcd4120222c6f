import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type IoctlError, Kvm } from '../../lib/index.ts';
import { errorOf, noKvm } from '../support/host.ts';

test('a device that is not there', () => {
  const error = errorOf(() => Kvm.open('/nonexistent/kvm'));
  assert.equal(error.code, 'ERR_DEVICE_MISSING');
  assert.match(error.message, /\/nonexistent\/kvm/);
});

for (const [what, path] of [
  ['a device that is not KVM', '/dev/null'],
  ['a directory', '/'],
  ['an ordinary file', new URL(import.meta.url).pathname],
] as const) {
  test(what, () => {
    assert.equal(errorOf(() => Kvm.open(path)).code, 'ERR_NOT_KVM');
  });
}

test('a file that may not be opened', () => {
  // sysfs lets nobody, not even root, open for writing what cannot be written.
  const error = errorOf(() => Kvm.open('/sys/devices/system/cpu/online'));
  assert.equal(error.code, 'ERR_DEVICE_PERMISSION');
  assert.equal((error.cause as IoctlError).errnoName, 'EACCES');
  // What it advises depends on who asks, and where: test/unit/doctor.
  assert.match(error.advice, /usermod -aG|Start the container with|A security module|udev rule|group/);
});

test('the KVM of this machine', { skip: noKvm }, () => {
  using kvm = Kvm.open();
  assert.equal(kvm.apiVersion, 12);
  assert.ok(kvm.checkExtension('KVM_CAP_NR_VCPUS') >= 1);
  assert.equal(kvm.checkExtension(100_000), 0);
});

test('use after close', { skip: noKvm }, () => {
  const kvm = Kvm.open();
  kvm.close();
  kvm.close();
  assert.equal(kvm.closed, true);
  assert.equal(errorOf(() => kvm.apiVersion).code, 'ERR_CLOSED');
  assert.equal(errorOf(() => kvm.createVm()).code, 'ERR_CLOSED');
});
