/** What the faults of subject injection do. */

import { readLapicRegister } from 'kvm-dsm';
import { type Case, replica } from './guest.ts';

export const injectionCases: Record<string, Case> = {
  'replay-unsent': {
    see: () =>
      replica(0xfee0_0800, (vm, irrs) => {
        vm.dsmIpi({ vcpuId: 1, val: 0x310, val2: 0x0200_0000 });
        vm.dsmIpi({ vcpuId: 1, val: 0x300, val2: 0x40f0 });
        return irrs();
      }),
    right: [[], [], [0xf0]],
    wrong: [[], [], []],
  },
  'replay-vcpu0': {
    see: () =>
      replica(0xfee0_0800, (vm) => {
        vm.dsmIpi({ vcpuId: 1, val: 0x310, val2: 0x0200_0000 });
        return [...vm.vcpus.values()].map((vcpu) => readLapicRegister(vcpu.getLapic(), 'ICR2'));
      }),
    right: [0, 0x0200_0000, 0],
    wrong: [0x0200_0000, 0, 0],
  },
  'replay-low-half': {
    see: () =>
      replica(0xfee0_0c00, (vm, irrs) => {
        vm.dsmX2apic({ vcpuId: 1, data: 0x2_0000_40f0n });
        return irrs();
      }),
    right: [[], [], [0xf0]],
    wrong: [[0xf0], [], []],
  },
  'replay-base-as-guest': {
    see: () =>
      replica(0xfee0_0c00, (vm) => {
        vm.dsmApicBase({ vcpuId: 1, data: 0xfee0_0800, host: true });
        return 'taken';
      }),
    right: 'taken',
    wrong:
      'ReplayLostError: KVM_DSM_APIC_BASE answered 0 and did nothing: IA32_APIC_BASE of vCPU 1 is 0xfee00c00, not 0xfee00800',
  },
};
