/** Numbers and bytes of arm64's vLPI ioctls, as the series has them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ArgumentError,
  defaultProfile,
  ioctlName,
  kvmDebugGicMsiSetup,
  vlpiCapabilities,
  vlpiIoctls,
  vlpiVcpuId,
} from '../../../lib/index.ts';

test('the numbers are those of the series', () => {
  assert.deepEqual(vlpiIoctls, {
    KVM_ENABLE_VCPU_VLPI: 0x4004_aef0,
    KVM_DISABLE_VCPU_VLPI: 0x4004_aef1,
    KVM_QUERY_VCPU_VLPI: 0x8004_aef2,
    KVM_DEBUG_GIC_MSI_SETUP: 0x4020_aef3,
  });
  assert.deepEqual(vlpiCapabilities, { KVM_CAP_ARM_PER_VCPU_VLPI: 246, KVM_CAP_ARM_MAX_VPEID: 247 });
});

test('a vcpu_id is four bytes, little endian, with a sign', () => {
  assert.deepEqual([...vlpiVcpuId.encode({ vcpuId: 0x0102 })], [0x02, 0x01, 0, 0]);
  assert.deepEqual([...vlpiVcpuId.encode({ vcpuId: -2 })], [0xfe, 0xff, 0xff, 0xff]);
  assert.deepEqual(vlpiVcpuId.decode(Uint8Array.of(0xff, 0xff, 0xff, 0x7f)), { vcpuId: 0x7fff_ffff });
  assert.throws(() => vlpiVcpuId.encode({ vcpuId: 2 ** 31 }), ArgumentError);
});

test('struct kvm_debug_gic_msi_setup has 32 bytes, four of them for alignment', () => {
  const setup = {
    deviceId: 0x1122_3344,
    eventId: 0x55,
    vcpuId: 3,
    vintid: 8192,
    hostIrq: 0xffff_fffe,
    ittAddr: 0x0102_0304_0506_0708n,
  };
  // biome-ignore format: one member a line
  const bytes = [
    0x44, 0x33, 0x22, 0x11,
    0x55, 0, 0, 0,
    3, 0, 0, 0,
    0, 0x20, 0, 0,
    0xfe, 0xff, 0xff, 0xff,
    0, 0, 0, 0,
    8, 7, 6, 5, 4, 3, 2, 1,
  ];
  assert.deepEqual([...kvmDebugGicMsiSetup.encode(setup)], bytes);
  assert.deepEqual(kvmDebugGicMsiSetup.decode(Uint8Array.from(bytes)), setup);
  assert.throws(() => kvmDebugGicMsiSetup.decode(new Uint8Array(31)), ArgumentError);
});

test('a number has its name within its own table alone', () => {
  assert.equal(ioctlName(0x4004_aef1), '_IOW(0xae, 0xf1, 4 bytes)');
  assert.equal(ioctlName(0x4004_aef1, vlpiIoctls), 'KVM_DISABLE_VCPU_VLPI');
  // 0xf3 is KVM_DSM_IPI's too: the size alone tells them apart.
  const number = (request: number) => request & 0xff;
  assert.equal(number(vlpiIoctls.KVM_DEBUG_GIC_MSI_SETUP), number(defaultProfile.requests.KVM_DSM_IPI));
  assert.equal(ioctlName(0x4020_aef3, defaultProfile.requests), '_IOW(0xae, 0xf3, 32 bytes)');
  assert.equal(ioctlName(0x4010_aef3, vlpiIoctls), '_IOW(0xae, 0xf3, 16 bytes)');
});
