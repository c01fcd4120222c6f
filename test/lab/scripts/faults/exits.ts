/** What the faults of subject exits do. */

import { asm, bytesAt, enableReservedExits, enterFlat32, type GuestCode, GuestMemory, Kvm } from 'kvm-dsm';
import { all, brief, type Case, DONE, entryOf, LAPIC, listening, MOVED_LAPIC } from './guest.ts';

/** What a guest exits with in a VM that makes the reserved exits. */
function reserved(code: GuestCode, apicBase = 0xfee0_0800): unknown[][] {
  using _ = enableReservedExits();
  using kvm = Kvm.open();
  using vm = kvm.createVm();
  using memory = GuestMemory.allocate(0x10000);
  if (vm.checkExtension('KVM_CAP_SET_TSS_ADDR')) vm.setTssAddr(0xfffb_d000);
  vm.createIrqchip();
  vm.setMemory({ slot: 0, guestPhysAddr: 0, memory });
  const vcpu = vm.createVcpu(0);
  listening(vcpu, kvm, apicBase);
  memory.write(entryOf(0), bytesAt(code, entryOf(0)));
  enterFlat32(vcpu, { rip: entryOf(0), rsp: entryOf(0), interrupts: true });
  return all(vcpu).map((exit) => {
    if (exit.name === 'KVM_EXIT_DAPIC') return [exit.reason, exit.localCpuid, exit.offset];
    if (exit.name === 'KVM_EXIT_DSM_X2_ICR') return [exit.reason, exit.id, `0x${exit.data.toString(16)}`];
    if (exit.name !== 'KVM_EXIT_DSM_APIC_BASE') return brief(exit);
    return [exit.reason, exit.id, exit.index, `0x${exit.data.toString(16)}`];
  });
}

export const exitsCases: Record<string, Case> = {
  'dapic-index': {
    see: () =>
      reserved(asm.flat32`
        mov eax, [${LAPIC + 0xf0}]
        out ${DONE}, al
      `),
    right: [[44, 0, 0xf0]],
    wrong: [[44, 0, 0xf]],
  },
  'x2-icr-low-half': {
    see: () =>
      reserved(
        asm.flat32`
          mov ecx, 0x830
          mov edx, 1
          mov eax, 0x40f0
          wrmsr
          out ${DONE}, al
        `,
        0xfee0_0c00,
      ),
    right: [[46, 0, '0x1000040f0']],
    wrong: [[46, 0, '0x40f0']],
  },
  'apic-base-index': {
    see: () =>
      reserved(asm.flat32`
        mov ecx, 0x1b
        xor edx, edx
        mov eax, ${MOVED_LAPIC + 0x800}
        wrmsr
        out ${DONE}, al
      `),
    right: [[47, 0, 0x1b, '0xfed00800']],
    wrong: [[47, 0, 0, '0xfed00800']],
  },
};
