/** What the faults of subject synic do. */

import { connectSints, Kvm, type SintLine, Synic, type Vm } from 'kvm-dsm';
import { type Case, irrsOf, listening } from './guest.ts';

/** MSRs of the SynIC. */
const EOM = 0x4000_0084;
const SINT3 = 0x4000_0093;

/** A VM of two vCPUs that never run, and a line to SINT 3, with vector 0x51, of each. */
function synics<T>(use: (vm: Vm, lines: readonly SintLine[]) => T): T {
  using kvm = Kvm.open();
  using vm = kvm.createVm();
  vm.createIrqchip();
  const ends = [0, 1].map((id) => {
    const vcpu = vm.createVcpu(id);
    listening(vcpu, kvm, 0xfee0_0800);
    const synic = Synic.enable(vm, vcpu);
    vcpu.setMsr(SINT3, 0x51n);
    return { synic, sint: 3 };
  });
  return use(vm, connectSints(vm, ends));
}

export const synicCases: Record<string, Case> = {
  'sint-vp0': {
    see: () =>
      synics((vm, [, line]) => {
        line!.signal();
        return irrsOf(vm);
      }),
    right: [[], [0x51]],
    wrong: [[0x51], []],
  },
  'sint-unheard': {
    see: () =>
      synics((vm, lines) => {
        vm.vcpus.get(1)!.setMsr(EOM, 0n);
        return lines.map(({ acknowledged }) => Number(acknowledged?.read() ?? 0n));
      }),
    right: [0, 1],
    wrong: [0, 0],
  },
};
