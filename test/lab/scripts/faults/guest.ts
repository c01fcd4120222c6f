/** Small guests that faults are shown by, and what comes out of them. */
import {
  asm,
  bytesAt,
  decodeLapic,
  type Exit,
  enterFlat32,
  type GuestCode,
  GuestMemory,
  type IrqchipKind,
  Kvm,
  mpStates,
  type Vcpu,
  type Vm,
} from 'kvm-dsm';

export const LAPIC = 0xfee0_0000;
export const MOVED_LAPIC = 0xfed0_0000;
export const ICR = LAPIC + 0x300;
export const ICR2 = LAPIC + 0x310;

/** No memory is there: an access is an exit. */
export const DEVICE = 0xd000_0000;
export const DONE = 0x10;
export const NEXT = 0x12;

/** To APIC id 1, fixed, vector 0xf0. */
export const ipi = asm.flat32`
  mov dword [${ICR2}], 0x01000000
  mov dword [${ICR}], 0x40f0
  out ${DONE}, al
`;

interface Setup {
  irqchip?: IrqchipKind;
  /** vcpu_id of each vCPU. */
  ids?: readonly number[];
  /** SVR of the vCPUs that write: bit 8 enables the LAPIC. That of the others is 0x1ff. */
  svr?: number;
  apicBase?: number;
}

export const entryOf = (index: number) => 0x4000 + index * 0x4000;

/** A VM with two vCPUs of which the first ones have a program. */
export function guest<T>(codes: GuestCode | readonly GuestCode[], use: (...vcpus: Vcpu[]) => T, setup: Setup = {}): T {
  const programs = 'mode' in codes ? [codes] : codes;
  using memory = GuestMemory.allocate(0x10000);
  using kvm = Kvm.open();
  using vm = kvm.createVm();
  if (vm.checkExtension('KVM_CAP_SET_TSS_ADDR')) vm.setTssAddr(0xfffb_d000);
  if (setup.irqchip === 'split') vm.enableSplitIrqchip();
  else vm.createIrqchip();
  vm.setMemory({ slot: 0, guestPhysAddr: 0, memory });
  const vcpus = (setup.ids ?? [0, 1]).map((id) => vm.createVcpu(id));
  vcpus.forEach((vcpu, index) => {
    const code = programs[index];
    vcpu.setLapicRegisters({ SVR: code ? (setup.svr ?? 0x1ff) : 0x1ff });
    if (!code) return;
    memory.write(entryOf(index), bytesAt(code, entryOf(index)));
    enterFlat32(vcpu, { rip: entryOf(index), rsp: entryOf(index), interrupts: true });
    if (setup.apicBase) {
      const sregs = vcpu.getSregs();
      const flags = sregs.apicBase & 0xfffn;
      vcpu.setSregs({ ...sregs, apicBase: BigInt(setup.apicBase) | flags });
    }
    vcpu.setMpState(mpStates.KVM_MP_STATE_RUNNABLE);
  });
  return use(...vcpus);
}

export const next = (vcpu: Vcpu): Exit => vcpu.run({ deadline: '20s' });

/** What tells one exit from another here. */
export function brief(exit: Exit): unknown[] {
  if (exit.name === 'KVM_EXIT_DSM_SEND_IRQ') return [exit.val, exit.val2];
  return exit.name === 'KVM_EXIT_IO' ? ['port', exit.port] : [exit.name];
}

/** The exits before that of port DONE, of which there are few. */
export function all(vcpu: Vcpu): Exit[] {
  const seen: Exit[] = [];
  while (seen.length < 20) {
    const exit = next(vcpu);
    if (exit.name === 'KVM_EXIT_IO' && exit.port === DONE) return seen;
    seen.push(exit);
  }
  throw new Error(`no end: ${JSON.stringify(seen.map(brief))}`);
}

export const briefly = (vcpu: Vcpu) => all(vcpu).map(brief);
export const forwarded = (vcpu: Vcpu) => all(vcpu).filter((exit) => exit.name === 'KVM_EXIT_DSM_SEND_IRQ');
export const count = (vcpu: Vcpu) => forwarded(vcpu).length;

export interface Case {
  see(): unknown;
  right: unknown;
  wrong: unknown;
}

export const ICR2_EXIT = [0x310, 0x0100_0000];
export const ICR_EXIT = [0x300, 0x40f0];

export const irrsOf = (vm: Vm) => [...vm.vcpus.values()].map((vcpu) => decodeLapic(vcpu.getLapic()).irr);

/** A VM with three vCPUs that never run, for replays. */
export function replica<T>(apicBase: number, use: (vm: Vm, irrs: () => number[][]) => T): T {
  using kvm = Kvm.open();
  using vm = kvm.createVm();
  vm.createIrqchip();
  for (const id of [0, 1, 2]) listening(vm.createVcpu(id), kvm, apicBase);
  return use(vm, () => irrsOf(vm));
}

/** With a CPUID that has the x2APIC, the LAPIC enabled in the mode that IA32_APIC_BASE says. */
export function listening(vcpu: Vcpu, kvm: Kvm, apicBase: number): void {
  vcpu.setCpuid2(kvm.supportedCpuid());
  vcpu.setSregs({ ...vcpu.getSregs(), apicBase: BigInt(apicBase) });
  vcpu.setLapicRegisters({ SVR: 0x1ff });
}

export const eightWrites = asm.flat32(`
  mov ecx, 8
  xor eax, eax
again:
  add eax, 0x01000000
  mov [${ICR2}], eax
  loop again
  out ${DONE}, al
`);

export const writeAndPorts = asm.flat32`
  mov dword [${ICR2}], 0x01000000
  out ${NEXT}, al
  out ${DONE}, al
  hlt
`;

/** What it sees, or the error. */
export function attempt<T>(see: () => T): T | string {
  try {
    return see();
  } catch (error) {
    return String(error);
  }
}
