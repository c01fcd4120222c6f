import {
  enterFlat32,
  flat32,
  GuestMemory,
  type Instruction,
  Kvm,
  mpStates,
  type Vcpu,
  type Vm,
  write32,
} from '../../lib/index.ts';

/** Where vCPU `id`'s program is: a page each, from 0x10000 on. Its stack grows down from there. */
export const entryOf = (id: number): number => 0x10000 + id * 0x1000;

/** A VM with an irqchip and memory from 0, with vCPUs 0, 1, ... */
export interface Guest extends Disposable {
  readonly kvm: Kvm;
  readonly vm: Vm;
  readonly memory: GuestMemory;
  readonly vcpus: readonly Vcpu[];
  /** Loads flat32 code for vCPU `id` and points it there, from whatever state it is in. */
  program(id: number, ...code: readonly Instruction[]): Vcpu;
}

export function makeGuest(vcpus = 1): Guest {
  const kvm = Kvm.open();
  const vm = kvm.createVm();
  const memory = GuestMemory.allocate(entryOf(vcpus));
  if (vm.checkExtension('KVM_CAP_SET_TSS_ADDR')) vm.setTssAddr(0xfffb_d000);
  vm.createIrqchip();
  vm.setMemory({ slot: 0, guestPhysAddr: 0, memory });
  const all = Array.from({ length: vcpus }, (_, id) => vm.createVcpu(id));
  return {
    kvm,
    vm,
    memory,
    vcpus: all,
    program(id, ...code) {
      const vcpu = all[id]!;
      memory.write(entryOf(id), flat32(...code).bytes);
      enterFlat32(vcpu, { rip: entryOf(id), rsp: entryOf(id), interrupts: true });
      vcpu.setMpState(mpStates.KVM_MP_STATE_RUNNABLE);
      return vcpu;
    },
    [Symbol.dispose]() {
      vm.close();
      kvm.close();
      memory.close();
    },
  };
}

/** Writes the numbers 1, 2, 3, ... to a port, for ever: `inc eax; out port, eax; jmp`. EAX starts at 0. */
export const countOut = (port: number): Instruction => Uint8Array.of(0x40, 0xe7, port, 0xeb, 0xfb);

/** The same `count` times, and goes on behind it: `mov ecx, count; inc eax; out port, eax; loop`. */
export const countOutTimes = (port: number, count: number): Instruction =>
  Uint8Array.of(0xb9, ...le32(count), 0x40, 0xe7, port, 0xe2, 0xfb);

/** Spins until the 32 bits at `address` are `value`: `cmp dword [address], value; jne`. */
export const wait32 = (address: number, value: number): Instruction =>
  Uint8Array.of(0x81, 0x3d, ...le32(address), ...le32(value), 0x75, 0xf4);

/** Sends an IPI by the xAPIC: ICR2, then ICR. */
export const sendIpi = (destination: number, icr: number): Instruction =>
  Uint8Array.of(...write32(0xfee0_0310, (destination << 24) >>> 0), ...write32(0xfee0_0300, icr));

/** Repeatable pseudo-random numbers in 0..1 (mulberry32). */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b_79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function le32(value: number): number[] {
  return [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
}
