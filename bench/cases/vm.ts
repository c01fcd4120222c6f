// The VM of a case: memory, an irqchip, vCPUs that are pointed at a guest's program.
import { enterFlat32, GuestMemory, Kvm, mpStates, type Vcpu, type Vm } from 'kvm-dsm';
import type { Guest } from './guest.ts';
import { writeScript } from './script.ts';

const MEMORY = 2 << 20;
const programOf = (id: number) => 0x10000 + id * 0x1000;

export interface BenchVm extends Disposable {
  readonly vm: Vm;
  readonly vcpus: readonly Vcpu[];
  /** Points the vCPU at the guest's program, which makes `exits` exits, its last one, and halts. */
  enter(id: number, guest: Guest, exits: number): Vcpu;
}

export function makeVm(vcpus = 1): BenchVm {
  const kvm = Kvm.open();
  const vm = kvm.createVm();
  const memory = GuestMemory.allocate(MEMORY);
  vm.setTssAddr(0xfffb_d000);
  vm.createIrqchip();
  vm.setMemory({ slot: 0, guestPhysAddr: 0, memory });
  const cpuid = kvm.supportedCpuid();
  const all = Array.from({ length: vcpus }, (_, id) => {
    const vcpu = vm.createVcpu(id);
    vcpu.setCpuid2(cpuid);
    vcpu.setMpState(mpStates.KVM_MP_STATE_RUNNABLE);
    return vcpu;
  });
  return {
    vm,
    vcpus: all,
    enter(id, guest, exits) {
      const vcpu = all[id]!;
      memory.write(programOf(id), guest.code);
      enterFlat32(vcpu, { rip: programOf(id), rsp: programOf(id), interrupts: false });
      vcpu.setRegs({ ...vcpu.getRegs(), rcx: BigInt(exits) });
      writeScript(vcpu.kvmRun, guest, exits, programOf(id));
      return vcpu;
    },
    [Symbol.dispose]() {
      vm.close();
      kvm.close();
      memory.close();
    },
  };
}
