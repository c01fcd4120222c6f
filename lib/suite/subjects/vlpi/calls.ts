/** The ioctls of arm64's vLPIs, as a program would call them. */
import { APIC_DEFAULT_PHYS_BASE, lapicRegisters } from '../../../abi/apic/lapic.ts';
import { kvmDebugGicMsiSetup, vlpiIoctls, vlpiVcpuId } from '../../../abi/vlpi.ts';
import type { CheckContext } from '../../kit/context.ts';
import type { Handle } from '../../kit/foreign-ioctls.ts';

export const SERIES = 'RFC PATCH 01/13 of the vLPI series, include/uapi/linux/kvm.h';
export const UNKNOWN_NUMBER = 'Documentation/driver-api/ioctl.rst, return code';

/** The vCPU that the calls are about: not 0, which is what a mistake makes of much. */
export const TARGET = 1;

export const vcpuCalls = ['KVM_ENABLE_VCPU_VLPI', 'KVM_DISABLE_VCPU_VLPI', 'KVM_QUERY_VCPU_VLPI'] as const;

/** A vCPU's call, past the refusal of `vm.disableVcpuVlpi` and its like. */
export function call(ctx: CheckContext, handle: Handle, name: (typeof vcpuCalls)[number], vcpuId = TARGET): string {
  return ctx.answer(`${name} of vCPU ${vcpuId}`, () =>
    handle.ioctlRaw(vlpiIoctls[name], vlpiVcpuId.encode({ vcpuId })),
  );
}

/** KVM_DEBUG_GIC_MSI_SETUP. Its begin is, in the words of KVM_DSM_IPI: vcpu_id, val, val2. */
export function setupMsi(
  ctx: CheckContext,
  handle: Handle,
  [deviceId, eventId, vcpuId]: readonly [number, number, number],
) {
  const bytes = kvmDebugGicMsiSetup.encode({ deviceId, eventId, vcpuId });
  return ctx.answer('KVM_DEBUG_GIC_MSI_SETUP', () => handle.ioctlRaw(vlpiIoctls.KVM_DEBUG_GIC_MSI_SETUP, bytes));
}

/** Writes TPR = 0, if somebody takes it for KVM_DSM_IPI. */
export const harmless = (vcpuId: number) => [vcpuId, lapicRegisters.TPR, 0] as const;

/** All four. */
export const callAll = (ctx: CheckContext, handle: Handle, vcpuId = TARGET): string[] => [
  ...vcpuCalls.map((name) => call(ctx, handle, name, vcpuId)),
  setupMsi(ctx, handle, harmless(vcpuId)),
];

/** A machine with two vCPUs whose LAPICs take interrupts. */
export const twoVcpus = (ctx: CheckContext) => ctx.machine({ vcpus: 2, apic: 'xapic' });

export const toTarget = APIC_DEFAULT_PHYS_BASE + (TARGET << 12);
export const VECTORS = [0x31, 0x62, 0xb3, 0xfe];
export const LINE_VECTOR = 0x55;
