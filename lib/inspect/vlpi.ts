/** arm64's vLPIs of one vCPU: numbers only, which no x86 kernel can be asked about. */
import { kvmDebugGicMsiSetup, vlpiCapabilities, vlpiIoctls, vlpiVcpuId } from '../abi/vlpi.ts';
import { type AbiSection, layoutOf } from './section.ts';

const SOURCE = 'RFC PATCH 01/13 of 2025-11-20, per-vCPU vLPI: refused; include/uapi/linux/kvm.h';

/** arm64's vLPIs of one vCPU. */
export function vlpiSection(): AbiSection {
  return {
    name: 'vlpi',
    title: "arm64's vLPIs of one vCPU (GICv4)",
    architecture: 'arm64',
    entries: [
      ...Object.entries(vlpiCapabilities).map(
        ([name, number]) =>
          ({
            kind: 'capability',
            name,
            number,
            source: SOURCE,
            note: 'upstream has given the number away since',
            ask: 'it is of arm64, and outside the series another capability has its number',
          }) as const,
      ),
      ...Object.entries(vlpiIoctls).map(
        ([name, number]) =>
          ({
            kind: 'ioctl',
            name,
            number,
            source: SOURCE,
            ...layoutOf<unknown>(name === 'KVM_DEBUG_GIC_MSI_SETUP' ? kvmDebugGicMsiSetup : vlpiVcpuId),
            ask: 'it is of arm64; on x86 its number lies in the range of DSM',
          }) as const,
      ),
    ],
  };
}
