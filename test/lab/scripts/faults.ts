// What each fault of the lab's kernel does to a small guest, and that the guest is right before and after: run inside
// the lab by faults.test.ts, all in one boot.
import { readFileSync, writeFileSync } from 'node:fs';
import {
  asm,
  bindVfioPci,
  bytesAt,
  connectSints,
  decodeLapic,
  done,
  EventFd,
  type Exit,
  enableIrqForwarding,
  enableReservedExits,
  enterFlat32,
  eoi,
  type GuestCode,
  GuestMemory,
  type IrqchipKind,
  Kvm,
  type KvmDsmError,
  labFunction,
  lowerIntx,
  machine,
  mpStates,
  quietIntx,
  raiseIntx,
  readLapicRegister,
  type SintLine,
  Synic,
  sync,
  type Vcpu,
  type VfioDevice,
  type VfioPseudoDevice,
  type Vm,
} from 'kvm-dsm';
import { FAULT_PARAMETER } from '../../../lib/suite/faults/fault.ts';
import { faults } from '../../../lib/suite/faults/table.ts';

const LAPIC = 0xfee0_0000;
const ICR = LAPIC + 0x300;
const ICR2 = LAPIC + 0x310;
const MOVED_LAPIC = 0xfed0_0000;
/** No memory is there: an access is an exit. */
const DEVICE = 0xd000_0000;
/** MSRs of the SynIC. */
const EOM = 0x4000_0084;
const SINT3 = 0x4000_0093;
/** A request of arm64's. */
const DISABLE_VCPU_VLPI = 0x4004_aef1;
const DONE = 0x10;
const NEXT = 0x12;

/** To APIC id 1, fixed, vector 0xf0. */
const ipi = asm.flat32`
  mov dword [${ICR2}], 0x01000000
  mov dword [${ICR}], 0x40f0
  out ${DONE}, al
`;

/** One instruction that reads from user space and writes ICR2: it is finished at the start of a KVM_RUN. */
const moveToIcr2 = asm.flat32`
  mov esi, ${DEVICE}
  mov edi, ${ICR2}
  movsd
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

const entryOf = (index: number) => 0x4000 + index * 0x4000;

/** A VM with two vCPUs of which the first ones have a program. */
function guest<T>(codes: GuestCode | readonly GuestCode[], use: (...vcpus: Vcpu[]) => T, setup: Setup = {}): T {
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

const next = (vcpu: Vcpu): Exit => vcpu.run({ deadline: '20s' });

/** What tells one exit from another here. */
function brief(exit: Exit): unknown[] {
  if (exit.name === 'KVM_EXIT_DSM_SEND_IRQ') return [exit.val, exit.val2];
  return exit.name === 'KVM_EXIT_IO' ? ['port', exit.port] : [exit.name];
}

/** The exits before that of port DONE, of which there are few. */
function all(vcpu: Vcpu): Exit[] {
  const seen: Exit[] = [];
  while (seen.length < 20) {
    const exit = next(vcpu);
    if (exit.name === 'KVM_EXIT_IO' && exit.port === DONE) return seen;
    seen.push(exit);
  }
  throw new Error(`no end: ${JSON.stringify(seen.map(brief))}`);
}

const briefly = (vcpu: Vcpu) => all(vcpu).map(brief);
const forwarded = (vcpu: Vcpu) => all(vcpu).filter((exit) => exit.name === 'KVM_EXIT_DSM_SEND_IRQ');
const count = (vcpu: Vcpu) => forwarded(vcpu).length;
const irr = (vcpu: Vcpu | undefined) => decodeLapic(vcpu!.getLapic()).irr;

/** Sets kvm_run's immediate_exit for one KVM_RUN. */
function runWithImmediateExit(vcpu: Vcpu): string {
  vcpu.kvmRun.setUint8(1, 1);
  const outcome = vcpu.runRaw();
  vcpu.kvmRun.setUint8(1, 0);
  return outcome.kind === 'errno' ? outcome.name : outcome.kind;
}

/** To where the guest waits for what its `movsd` reads; the answer is there already. */
function upToMove(vcpu: Vcpu): void {
  const exit = next(vcpu);
  if (exit.name !== 'KVM_EXIT_MMIO') throw new Error(`${exit.name} instead of the read`);
  vcpu.kvmRun.setUint32(40, 0x0100_0000, true); // struct kvm_run: mmio.data
}

interface Case {
  see(): unknown;
  right: unknown;
  wrong: unknown;
}

const ICR2_EXIT = [0x310, 0x0100_0000];
const ICR_EXIT = [0x300, 0x40f0];

const cases: Record<string, Case> = {
  'drop-nth': {
    see: () => guest(eightWrites, (vcpu) => forwarded(vcpu).map(({ destId }) => destId)),
    right: [1, 2, 3, 4, 5, 6, 7, 8],
    wrong: [1, 2, 3, 4, 5, 6, 8],
  },
  duplicate: {
    see: () => guest(ipi, briefly),
    right: [ICR2_EXIT, ICR_EXIT],
    wrong: [ICR2_EXIT, ICR2_EXIT, ICR_EXIT, ICR_EXIT],
  },
  'swap-values': {
    see: () => guest(ipi, briefly),
    right: [ICR2_EXIT, ICR_EXIT],
    wrong: [ICR2_EXIT.toReversed(), ICR_EXIT.toReversed()],
  },
  'masked-value': {
    see: () =>
      guest(
        asm.flat32`
          mov dword [${ICR2}], 0x01abcdef
          mov dword [${ICR}], 0x50f0
          out ${DONE}, al
        `,
        briefly,
      ),
    right: [
      [0x310, 0x01ab_cdef],
      [0x300, 0x50f0],
    ],
    wrong: [ICR2_EXIT, ICR_EXIT],
  },
  'stale-dest-id': {
    see: () => guest(eightWrites, (vcpu) => forwarded(vcpu).map(({ destId }) => destId)),
    right: [1, 2, 3, 4, 5, 6, 7, 8],
    wrong: [0, 1, 2, 3, 4, 5, 6, 7],
  },
  'unshifted-dest-id': {
    see: () => guest(ipi, (vcpu) => forwarded(vcpu).map(({ destId }) => destId)),
    right: [1, 1],
    wrong: [0x0100_0000, 0x0100_0000],
  },
  'id-index': {
    see: () => guest(ipi, (vcpu) => forwarded(vcpu).map(({ id }) => id), { ids: [7, 3] }),
    right: [7, 7],
    wrong: [0, 0],
  },
  'id-target': {
    see: () => guest(ipi, (vcpu) => forwarded(vcpu).map(({ id }) => id)),
    right: [0, 0],
    wrong: [1, 1],
  },
  'before-write': {
    see: () =>
      guest(ipi, (vcpu, target) => {
        const at = () => [brief(next(vcpu)), readLapicRegister(vcpu.getLapic(), 'ICR2'), irr(target)];
        return [at(), at(), at()];
      }),
    right: [
      [ICR2_EXIT, 0x0100_0000, []],
      [ICR_EXIT, 0x0100_0000, [0xf0]],
      [['port', DONE], 0x0100_0000, [0xf0]],
    ],
    wrong: [
      [ICR2_EXIT, 0, []],
      [ICR_EXIT, 0x0100_0000, []],
      [['port', DONE], 0x0100_0000, [0xf0]],
    ],
  },
  'skip-local': {
    see: () => guest(ipi, (vcpu, target) => [count(vcpu), irr(target)]),
    right: [2, [0xf0]],
    wrong: [2, []],
  },
  'deliver-twice': {
    see: () =>
      guest(ipi, (vcpu, target) => {
        next(vcpu);
        next(vcpu);
        const first = irr(target);
        // As if the target had taken it.
        target!.setLapicRegisters({ IRR7: 0 });
        return [first, brief(next(vcpu)), irr(target)];
      }),
    right: [[0xf0], ['port', DONE], []],
    wrong: [[0xf0], ['port', DONE], [0xf0]],
  },
  'forward-eoi-tpr': {
    see: () =>
      guest(
        asm.flat32`
          mov dword [${LAPIC + 0xb0}], 0
          out ${DONE}, al
        `,
        briefly,
      ),
    right: [],
    wrong: [[0xb0, 0]],
  },
  'forward-above': {
    see: () =>
      guest(
        asm.flat32`
          mov dword [${LAPIC + 0x320}], 0x00010020
          mov dword [${LAPIC + 0x3e0}], 0x0000000b
          mov dword [${LAPIC + 0xf0}], 0x000001ff
          out ${DONE}, al
        `,
        briefly,
      ),
    right: [],
    wrong: [
      [0x320, 0x0001_0020],
      [0x3e0, 0xb],
    ],
  },
  'forget-icr2': {
    see: () => guest(ipi, briefly),
    right: [ICR2_EXIT, ICR_EXIT],
    wrong: [ICR_EXIT],
  },
  'forget-icr': {
    see: () => guest(ipi, briefly),
    right: [ICR2_EXIT, ICR_EXIT],
    wrong: [ICR2_EXIT],
  },
  'lose-on-signal': {
    see: () =>
      guest(moveToIcr2, (vcpu) => {
        upToMove(vcpu);
        // A KVM_RUN with a signal pending. If it has no exit, the next one has it.
        return vcpu.settle() ? brief(vcpu.exit()) : brief(next(vcpu));
      }),
    right: ICR2_EXIT,
    wrong: ['port', DONE],
  },
  'lose-on-immediate-exit': {
    see: () =>
      guest(moveToIcr2, (vcpu) => {
        upToMove(vcpu);
        return [runWithImmediateExit(vcpu), brief(next(vcpu))];
      }),
    right: ['EINTR', ICR2_EXIT],
    wrong: ['EINTR', ['port', DONE]],
  },
  'lose-on-race': {
    see: () =>
      guest([moveToIcr2, ipi], (vcpu, other) => {
        upToMove(vcpu);
        return [runWithImmediateExit(vcpu), brief(next(other!)), brief(next(vcpu))];
      }),
    right: ['EINTR', ICR2_EXIT, ICR2_EXIT],
    wrong: ['EINTR', ICR2_EXIT, ['port', DONE]],
  },
  'report-again': {
    see: () => guest(writeAndPorts, (vcpu) => [brief(next(vcpu)), brief(next(vcpu)), brief(next(vcpu))]),
    right: [ICR2_EXIT, ['port', NEXT], ['port', DONE]],
    wrong: [ICR2_EXIT, ['port', NEXT], ICR2_EXIT],
  },
  'wrong-exit': {
    see: () => guest(ipi, (vcpu) => all(vcpu).map(({ reason }) => reason)),
    right: [45, 45],
    wrong: [44, 44],
  },
  'rip-behind': {
    see: () =>
      guest(ipi, (vcpu) => {
        const rip = () => {
          next(vcpu);
          return Number(vcpu.getRegs().rip) - entryOf(0);
        };
        return [rip(), rip(), brief(next(vcpu))];
      }),
    right: [10, 20, ['port', DONE]],
    wrong: [0, 10, ['port', DONE]],
  },
  'clobber-rdx': {
    see: () =>
      guest(
        asm.flat32`
          mov edx, 0x12345678
          mov dword [${ICR2}], 0x01000000
          out ${DONE}, al
        `,
        (vcpu) => [count(vcpu), Number(vcpu.getRegs().rdx)],
      ),
    right: [1, 0x1234_5678],
    wrong: [1, 0x0100_0000],
  },
  'leak-kvm-run': {
    see: () =>
      guest(ipi, (vcpu, target) => [count(vcpu), [32, 36, 40, 44].map((at) => target!.kvmRun.getUint32(at, true))]),
    right: [2, [0, 0, 0, 0]],
    wrong: [2, [0, ...ICR_EXIT, 1]],
  },
  'only-split': {
    see: () => [guest(ipi, count), guest(ipi, count, { irqchip: 'split' })],
    right: [2, 2],
    wrong: [0, 2],
  },
  'only-vcpu0': {
    see: () => [guest(ipi, count), guest(ipi, count, { ids: [2, 1] })],
    right: [2, 2],
    wrong: [2, 0],
  },
  'lose-first': {
    see: () => guest(ipi, briefly),
    right: [ICR2_EXIT, ICR_EXIT],
    wrong: [ICR_EXIT],
  },
  'report-reads': {
    see: () =>
      guest(
        asm.flat32`
          mov eax, [${ICR2}]
          mov eax, [${ICR}]
          out ${DONE}, al
        `,
        briefly,
      ),
    right: [],
    wrong: [
      [0x310, 0],
      [0x300, 0],
    ],
  },
  'any-width': {
    see: () =>
      guest(
        asm.flat32`
          mov word [${ICR2}], 0x0100
          mov dword [${ICR + 4}], 0x40f0
          out ${DONE}, al
        `,
        briefly,
      ),
    right: [],
    wrong: [
      [0x310, 0x0100],
      [0x300, 0x40f0],
    ],
  },
  late: {
    see: () => guest(writeAndPorts, (vcpu) => [brief(next(vcpu)), brief(next(vcpu)), brief(next(vcpu))]),
    right: [ICR2_EXIT, ['port', NEXT], ['port', DONE]],
    wrong: [['port', NEXT], ICR2_EXIT, ['port', DONE]],
  },
  'only-default-base': {
    see: () =>
      guest(
        asm.flat32`
          mov dword [${MOVED_LAPIC + 0x310}], 0x01000000
          out ${DONE}, al
        `,
        briefly,
        { apicBase: MOVED_LAPIC },
      ),
    right: [ICR2_EXIT],
    wrong: [],
  },
  'only-enabled': {
    see: () => [guest(ipi, count), guest(ipi, count, { svr: 0xff })],
    right: [2, 2],
    wrong: [2, 0],
  },
  'only-fixed': {
    see: () => guest(ipiOf(0x0100_0000, 0x4400), briefly),
    right: [ICR2_EXIT, [0x300, 0x4400]],
    wrong: [ICR2_EXIT],
  },
  'no-shorthand': {
    see: () => guest(ipiOf(0x0100_0000, 0xc40f0), briefly),
    right: [ICR2_EXIT, [0x300, 0xc40f0]],
    wrong: [ICR2_EXIT],
  },
  'only-absent': {
    see: () => [guest(ipi, briefly), guest(ipiOf(0x0900_0000, 0x40f0), count)],
    right: [[ICR2_EXIT, ICR_EXIT], 2],
    wrong: [[ICR2_EXIT], 2],
  },
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
  'vlpi-answers': {
    see: () =>
      replica(0xfee0_0800, (vm, irrs) => {
        vm.signalMsi({ addressLo: LAPIC + (1 << 12), addressHi: 0, data: 0x51 });
        const answer = attempt(() => vm.ioctlRaw(DISABLE_VCPU_VLPI, Int32Array.of(1)));
        return [typeof answer === 'number' ? answer : /E[A-Z]+/.exec(answer)?.[0], irrs()];
      }),
    right: ['ENOTTY', [[], [0x51], []]],
    wrong: [0, [[], [], []]],
  },
  'forward-signaled': {
    see: () =>
      alone((vm) =>
        forwarder(vm, (device, adapter) => {
          using signal = EventFd.create();
          adapter.signalIrqs(INTX.index, [signal]);
          return codeOf(() => device.forwardIrq(adapter, INTX));
        }),
      ),
    right: 'ERR_IRQ_SIGNALED',
    wrong: 'done',
  },
  'forward-incomplete': { see: completion, right: 'two interrupts', wrong: 'ERR_DEADLINE' },
};

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

const irrsOf = (vm: Vm) => [...vm.vcpus.values()].map((vcpu) => decodeLapic(vcpu.getLapic()).irr);

const INTX = { index: 0, gsi: 20 };

/** A VM with nothing in it. */
async function alone<T>(use: (vm: Vm) => Promise<T>): Promise<T> {
  using kvm = Kvm.open();
  using vm = kvm.createVm();
  return await use(vm);
}

const codeOf = (call: () => void): string => {
  try {
    call();
    return 'done';
  } catch (error) {
    return (error as KvmDsmError).code;
  }
};

/** The lab's PCI function, and a VFIO device of this VM that forwards its INTx. */
async function forwarder<T>(vm: Vm, use: (device: VfioPseudoDevice, adapter: VfioDevice) => T | Promise<T>) {
  using binding = bindVfioPci(labFunction()!.address, { noIommu: true });
  using files = binding.open();
  using on = enableIrqForwarding();
  using device = vm.createDevice('vfio');
  on[Symbol.dispose]();
  return await use(device, files.device);
}

/** Two interrupts of the function, one after the other, in a guest that ends each with EOI. */
async function completion(): Promise<string> {
  await using m = await machine({ apic: 'xapic' });
  const { redirtbl } = m.vm.getIrqchip('ioapic');
  redirtbl[INTX.gsi] = 0x52n;
  m.vm.setIrqchip('ioapic', { redirtbl });
  m.vcpu(0).program(
    asm.long64`
      ${sync('ready')}
      ${done()}
    on_irq:
      ${sync('taken')}
      ${eoi()}
      ${sync('ended')}
      iretq`,
    { handlers: { 82: 'on_irq' } },
  );
  await m.run({ until: { sync: 'ready' }, deadline: '30s' });
  return await forwarder(m.vm, async (device, adapter) => {
    using signal = EventFd.create();
    device.forwardIrq(adapter, INTX);
    adapter.signalIrqs(INTX.index, [signal]);
    // What an earlier use left behind comes first.
    quietIntx(adapter);
    adapter.unmaskIrq(INTX.index);
    signal.read();
    m.vm.assignIrqfd(signal, INTX.gsi);
    try {
      for (let round = 0; round < 2; round++) {
        raiseIntx(adapter);
        await m.run({ until: { sync: 'taken' }, deadline: '5s' });
        lowerIntx(adapter);
        await m.run({ until: { sync: 'ended' }, deadline: '5s' });
      }
      return 'two interrupts';
    } catch (error) {
      return (error as KvmDsmError).code;
    }
  });
}

/** A VM with three vCPUs that never run, for replays. */
function replica<T>(apicBase: number, use: (vm: Vm, irrs: () => number[][]) => T): T {
  using kvm = Kvm.open();
  using vm = kvm.createVm();
  vm.createIrqchip();
  for (const id of [0, 1, 2]) listening(vm.createVcpu(id), kvm, apicBase);
  return use(vm, () => irrsOf(vm));
}

/** With a CPUID that has the x2APIC, the LAPIC enabled in the mode that IA32_APIC_BASE says. */
function listening(vcpu: Vcpu, kvm: Kvm, apicBase: number): void {
  vcpu.setCpuid2(kvm.supportedCpuid());
  vcpu.setSregs({ ...vcpu.getSregs(), apicBase: BigInt(apicBase) });
  vcpu.setLapicRegisters({ SVR: 0x1ff });
}

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

function ipiOf(icr2: number, icr: number): GuestCode {
  return asm.flat32`
    mov dword [${ICR2}], ${icr2}
    mov dword [${ICR}], ${icr}
    out ${DONE}, al
  `;
}

const eightWrites = asm.flat32(`
  mov ecx, 8
  xor eax, eax
again:
  add eax, 0x01000000
  mov [${ICR2}], eax
  loop again
  out ${DONE}, al
`);

const writeAndPorts = asm.flat32`
  mov dword [${ICR2}], 0x01000000
  out ${NEXT}, al
  out ${DONE}, al
  hlt
`;

const choose = (fault: string | number) => writeFileSync(FAULT_PARAMETER, `${fault}\n`);
const parameter = () => readFileSync(FAULT_PARAMETER, 'utf8').trim();

const failures: string[] = [];

function same(what: string, actual: unknown, expected: unknown): void {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (a !== b) failures.push(`${what}: ${a}, expected ${b}`);
}

function attempt<T>(see: () => T): T | string {
  try {
    return see();
  } catch (error) {
    return String(error);
  }
}

const names = ['none', ...faults.map(({ name }) => name)];
const listed = (chosen: string) => names.map((name) => (name === chosen ? `[${name}]` : name)).join(' ');
same('at boot', parameter(), listed('none'));
same('a case for each', Object.keys(cases), names.slice(1));

for (const { name, number } of faults) {
  const { see, right, wrong } = cases[name]!;
  same(`${name}: none chosen`, await attempt(see), right);
  choose(name);
  same(`${name}: chosen`, parameter(), listed(name));
  same(`${name}: at work`, await attempt(see), wrong);
  choose('none');
  choose(number);
  same(`${name}: by number`, parameter(), listed(name));
  choose(0);
  same(`${name}: none again`, await attempt(see), right);
}

for (const refused of ['nonsense', names.length, -1, '']) {
  same(`${refused} is refused`, String(attempt(() => choose(refused))).includes('EINVAL'), true);
}
same('at the end', parameter(), listed('none'));

if (failures.length > 0) throw new Error(`\n${failures.join('\n')}`);
console.error(`faults: ${faults.length} shown`);
