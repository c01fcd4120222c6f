// arm64's vLPIs of one vCPU. Their ioctls are numbers that mean something else on x86, or nothing: the typed calls are
// refused before the ioctl, and an interrupt that is pending stays pending. The codec works everywhere.

import assert from 'node:assert/strict';
import { asm, idle, ioctlName, kvmDebugGicMsiSetup, machine, vlpiIoctls, vlpiVcpuId } from 'kvm-dsm';

await using m = await machine({ vcpus: 2, apic: 'xapic' });
m.signalMsi({ addressLo: 0xfee0_1000, data: 0x41 });

for (const [ioctl, call] of [
  ['KVM_ENABLE_VCPU_VLPI', () => m.vm.enableVcpuVlpi(1)],
  ['KVM_DISABLE_VCPU_VLPI', () => m.vm.disableVcpuVlpi(1)],
  ['KVM_QUERY_VCPU_VLPI', () => m.vm.queryVcpuVlpi(1)],
] as const)
  assert.throws(call, { code: 'ERR_ARCHITECTURE', ioctl, request: vlpiIoctls[ioctl], architecture: 'arm64' });

m.vcpu(1).program(asm.flat32`${idle()}`);
await m.run({ deadline: '30s' });
assert.deepEqual([...m.vcpu(1).interrupts], [[0x41, 1]]);

// What an arm64 kernel with the series would be given.
assert.equal(ioctlName(0x4004_aef1, vlpiIoctls), 'KVM_DISABLE_VCPU_VLPI');
assert.deepEqual(vlpiVcpuId.encode({ vcpuId: 1 }), Uint8Array.of(1, 0, 0, 0));
const setup = kvmDebugGicMsiSetup.encode({ eventId: 7, vcpuId: 1, vintid: 8192, ittAddr: 0x8000_0000n });
assert.equal(setup.length, (vlpiIoctls.KVM_DEBUG_GIC_MSI_SETUP >>> 16) & 0x3fff);
assert.equal(kvmDebugGicMsiSetup.decode(setup).vintid, 8192);
