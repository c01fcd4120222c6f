import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { test } from 'node:test';
import { defaultProfile } from '../../../lib/abi/dsm/profiles.ts';
import { ioctls } from '../../../lib/abi/kvm/ioctl.ts';
import { IoctlError } from '../../../lib/base/errors.ts';
import { ioctlCauses, ioctlsWithCauses } from '../../../lib/base/ioctl-causes.ts';

const { EINVAL, EEXIST, E2BIG, EPERM } = constants.errno;

test('each ioctl with causes is one of KVM or of the series', () => {
  for (const name of ioctlsWithCauses)
    assert.ok(name === 'KVM_RUN' || name in ioctls || name in defaultProfile.requests, name);
});

test('an IoctlError advises by what the kernel means', () => {
  const { advice } = new IoctlError('KVM_SET_MP_STATE', EINVAL);
  for (const cause of ioctlCauses('KVM_SET_MP_STATE', 'EINVAL')) assert.ok(advice.includes(cause), advice);
  assert.equal(
    new IoctlError('KVM_CREATE_PIT2', EEXIST).advice,
    'KVM_CREATE_PIT2 says EEXIST because the VM has a PIT already.',
  );
  assert.match(new IoctlError('KVM_SET_SREGS', EINVAL).advice, /CR0\.PG without CR0\.PE/);
  assert.match(new IoctlError('KVM_IRQFD', EINVAL).advice, /resampling needs the in-kernel IOAPIC/);
});

test('where nobody wrote it down the kernel says it, and what a caller knows goes first', () => {
  assert.match(new IoctlError('KVM_CREATE_PIT2', EPERM).advice, /api\.rst/);
  assert.match(new IoctlError('toString', E2BIG).advice, /api\.rst/);
  assert.equal(new IoctlError('KVM_CREATE_PIT2', EEXIST, { advice: 'Once.' }).advice, 'Once.');
});
