/** The codec of ioctl numbers, and their names. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { rfcV2 } from '../../../lib/abi/dsm/rfc-v2.ts';
import { capabilities, capabilityName } from '../../../lib/abi/kvm/capability.ts';
import { ioctlName, ioctls } from '../../../lib/abi/kvm/ioctl.ts';
import { _IO, _IOR, _IOW, _IOWR, decodeIoctl, encodeIoctl } from '../../../lib/abi/kvm/request-number.ts';
import { ArgumentError } from '../../../lib/base/errors.ts';

test('any 32-bit number decodes and encodes to itself', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 0xffff_ffff }), (request) => {
      assert.equal(encodeIoctl(decodeIoctl(request)), request);
    }),
  );
});

test('the macros put direction, size, type and number where Linux has them', () => {
  assert.equal(_IO(0x80), 0xae80);
  assert.equal(_IOW(0x46, 32), 0x4020_ae46);
  assert.equal(_IOR(0x81, 144), 0x8090_ae81);
  assert.equal(_IOWR(0xe0, 12), 0xc00c_aee0);
  assert.equal(_IOW(0xf3, 16, 0xae), 0x4010_aef3);
});

test('a part that does not fit is refused', () => {
  assert.throws(() => _IO(0x100), ArgumentError);
  assert.throws(() => _IO(-1), ArgumentError);
  assert.throws(() => _IOW(0, 0x4000), ArgumentError);
  assert.throws(() => _IOW(0, 1, 0x100), ArgumentError);
  assert.throws(() => _IOW(0, 1.5), ArgumentError);
});

test('no two requests have the same number', () => {
  const numbers = Object.values(ioctls);
  assert.equal(new Set(numbers).size, numbers.length);
});

test('a request has a name: of the table, of a profile, or its macro', () => {
  for (const [name, request] of Object.entries(ioctls)) assert.equal(ioctlName(request), name);
  assert.equal(ioctlName(0x4010_aef3), '_IOW(0xae, 0xf3, 16 bytes)');
  assert.equal(ioctlName(0x4010_aef3, rfcV2.requests), 'KVM_DSM_IPI');
  assert.equal(ioctlName(ioctls.KVM_RUN, rfcV2.requests), 'KVM_RUN');
  assert.equal(ioctlName(0xaeff), '_IO(0xae, 0xff)');
});

test('capabilities have one number each, and a name', () => {
  const numbers = Object.values(capabilities);
  assert.equal(new Set(numbers).size, numbers.length);
  assert.equal(capabilityName(121), 'KVM_CAP_SPLIT_IRQCHIP');
  assert.equal(capabilityName(9999), 'KVM_CAP 9999');
});
