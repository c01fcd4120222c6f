/** Ways by which an IPI leaves a guest, or reaches one, without a 32-bit store to the APIC page. */
import { X2APIC_ICR, X2APIC_SELF_IPI } from '../../abi/apic/msr.ts';
import { flat32, type Instruction, mov32, out8, write16, write32 } from '../../guest/bytes.ts';
import type { Cpuid } from '../../kvm/cpuid.ts';
import type { Machine, MachineOptions } from '../../script/machine/machine.ts';
import { type Check, type Shortfall, subject, table } from '../check.ts';
import type { CheckContext } from '../kit/context.ts';
import { at, DONE_PORT, runUntilDone } from '../kit/guests.ts';
import {
  capability,
  forwarding,
  hardwareVirtualization,
  injection,
  type Need,
  parameterOn,
  x2apic,
} from '../kit/needs.ts';
import { arrived, runSender, send, writeMsr } from '../kit/senders.ts';
import { HOOK } from '../kit/sources.ts';

/** Every vCPU has bits of the same kind; the second one is whom the guests send to. */
const VECTOR = 0x45;

/** How many exits told of an ICR, by whatever number the series has for its kind. */
function forwarded(machine: Machine): number {
  const { trace } = machine;
  return trace.named('KVM_EXIT_DSM_SEND_IRQ').length + trace.named('KVM_EXIT_DSM_X2_ICR').length;
}

const lost = (reason: string, source: string): Shortfall => ({
  reason,
  source,
  cause: /^the number of exits is 0, expected \d/,
});

/** One way to send an IPI that the hook does not see. */
interface Way {
  word: string;
  /** A clause for a claim. */
  what: string;
  source: string;
  reason: string;
  needs: readonly Need[];
  options?: MachineOptions;
  /** One IPI of vector 0x45. */
  instructions(ctx: CheckContext): readonly Instruction[];
  /** The vCPU that it is for. Default 1. */
  to?: number;
}

const x2apicMode: MachineOptions = { apic: 'x2apic' };
const HV_X64_MSR_ICR = 0x4000_0071;
const KVM_HC_SEND_IPI = 10;

/** Hyper-V's interface in the place of KVM's. Source: Hyper-V TLFS, 2.4. */
function hypervCpuid(cpuid: Cpuid): Cpuid {
  const HYPERV_CPUID_INTERFACE = 0x4000_0001;
  const signature = 0x3123_7648; // "Hv#1"
  return cpuid.map((entry) => (entry.function === HYPERV_CPUID_INTERFACE ? { ...entry, eax: signature } : entry));
}

/** `vmcall` or `vmmcall`. */
const hypercall = ({ facts }: CheckContext): Instruction =>
  Uint8Array.of(0x0f, 0x01, facts.module === 'kvm_amd' ? 0xd9 : 0xc1);

const ways: readonly Way[] = [
  {
    word: 'x2apic',
    what: 'WRMSR of the x2APIC ICR (0x830)',
    source: 'SDM vol. 3 11.12.9; arch/x86/kvm/lapic.c: kvm_x2apic_icr_write',
    reason: 'a WRMSR of 0x830 does not pass apic_mmio_write',
    needs: [x2apic],
    options: x2apicMode,
    instructions: () => writeMsr(X2APIC_ICR, 0x0000_0001_0000_4045n),
  },
  {
    word: 'x2apic-others',
    what: 'WRMSR of the x2APIC ICR with the shorthand all excluding self',
    source: 'SDM vol. 3 11.12.9; arch/x86/kvm/lapic.c: kvm_x2apic_icr_write',
    reason: 'a WRMSR of 0x830 does not pass apic_mmio_write',
    needs: [x2apic],
    options: x2apicMode,
    instructions: () => writeMsr(X2APIC_ICR, 0x000c_4045n),
  },
  {
    word: 'x2apic-self',
    what: 'WRMSR of SELF IPI (0x83f)',
    source: 'SDM vol. 3 11.12.11; arch/x86/kvm/lapic.c: APIC_SELF_IPI',
    reason: 'a WRMSR of 0x83f does not pass apic_mmio_write',
    needs: [x2apic],
    options: x2apicMode,
    instructions: () => writeMsr(X2APIC_SELF_IPI, 0x45n),
    to: 0,
  },
  {
    word: 'hyperv',
    what: 'WRMSR of the Hyper-V ICR (0x40000071)',
    source: 'Hyper-V TLFS, HV_X64_MSR_ICR; arch/x86/kvm/lapic.c: kvm_hv_vapic_msr_write',
    reason: 'a WRMSR of 0x40000071 does not pass apic_mmio_write',
    needs: [capability('KVM_CAP_HYPERV')],
    options: { cpuid: hypervCpuid },
    instructions: () => writeMsr(HV_X64_MSR_ICR, 0x0100_0000_0000_4045n),
  },
  {
    word: 'pv',
    what: 'the hypercall KVM_HC_SEND_IPI',
    source: 'Documentation/virt/kvm/x86/hypercalls.rst 7; arch/x86/kvm/lapic.c: kvm_pv_send_ipi',
    reason: 'KVM_HC_SEND_IPI does not pass apic_mmio_write',
    needs: [hardwareVirtualization],
    instructions: (ctx) => [
      mov32('eax', KVM_HC_SEND_IPI),
      mov32('ebx', 0b1), // the destinations, counted from edx
      mov32('ecx', 0),
      mov32('edx', 1),
      mov32('esi', VECTOR),
      hypercall(ctx),
    ],
  },
  {
    word: 'apicv',
    what: 'an ICR write of a guest with APICv',
    source: 'SDM vol. 3 30.4.3; arch/x86/kvm/lapic.c: kvm_apic_write_nodecode',
    reason: 'with APICv an ICR write does not pass apic_mmio_write',
    needs: [parameterOn('kvm_intel.enable_apicv')],
    options: { apicv: true },
    instructions: () => send(1, 0x4045),
  },
];

/** Instructions that write ICR2 once, as 32 bits. edi holds its address, eax is 0x01000000. */
const instructions = [
  ['mov', 'MOV of a register', [0x89, 0x07]],
  ['stos', 'STOSD', [0xab]],
  ['movs', 'MOVSD', [0xa5]],
  ['xchg', 'XCHG', [0x87, 0x07]],
  ['or', 'OR with a memory operand', [0x09, 0x07]],
  ['add', 'ADD with a memory operand', [0x01, 0x07]],
  ['pop', 'POP to memory', [0x50, 0x8f, 0x07]], // push eax; pop [edi]
  ['push', 'PUSH with its stack there', [0x89, 0xe3, 0x8d, 0x67, 0x04, 0x50, 0x89, 0xdc]], // esp is edi + 4
] as const;

/** Stores that no 32-bit register of the APIC page takes: of a wrong size, or not at a multiple of 16. */
const refused = [
  ['byte', 'One byte', [Uint8Array.of(0xc6, 0x05, 0x00, 0x03, 0xe0, 0xfe, 0x45)]],
  ['word', 'Two bytes', [write16(at('ICR'), 0x4045)]],
  ['word-high', "Two bytes at ICR's upper half", [write16(at('ICR') + 2, 0x000c)]],
  ['unaligned', 'Four bytes one byte behind ICR', [write32(at('ICR') + 1, 0x40)]],
  ['gap', 'Four bytes four bytes behind ICR', [write32(at('ICR') + 4, 0x4045)]],
] as const;

/** ICR2 first, so that the stores that follow would send to vCPU 1. */
const refusedSender = (ctx: CheckContext, stores: readonly Instruction[]) =>
  runSender(ctx, stores, {}, (machine) => machine.vcpu(0).vcpu.setLapicRegisters({ ICR2: 1 << 24 }));

const lostWays: Check[] = ways.flatMap(({ word, what, source, reason, needs, options, instructions, to = 1 }) => [
  {
    id: `bypass.${word}.forwarded`,
    claim: `An IPI by ${what} is forwarded`,
    source,
    needs: [forwarding, ...needs],
    shortfall: lost(`the forward is lost: ${reason}`, HOOK),
    async run(ctx: CheckContext) {
      const machine = await runSender(ctx, instructions(ctx), options);
      const wanted = word === 'apicv' ? 2 : 1;
      ctx.equal('the number of exits', forwarded(machine), wanted);
    },
  },
  {
    id: `bypass.${word}.arrives`,
    claim: `An IPI by ${what} arrives at its local destination`,
    source,
    needs: [...needs],
    async run(ctx: CheckContext) {
      const machine = await runSender(ctx, instructions(ctx), options);
      ctx.equal(`the vectors that arrived at vCPU ${to}`, arrived(machine, to), [VECTOR]);
    },
  },
]);

export const bypass = subject('bypass', 'ways around the hook', [
  ...lostWays,
  ...table(instructions, ([word, what, bytes]) => ({
    id: `bypass.instruction.${word}`,
    claim: `A write of ICR2 by ${what} is forwarded once`,
    source: HOOK,
    needs: [forwarding],
    async run(ctx: CheckContext) {
      const machine = await runSender(ctx, ({ shared }) => [
        mov32('eax', 0x0100_0000),
        mov32('esi', shared),
        mov32('edi', at('ICR2')),
        Uint8Array.from(bytes),
      ]);
      ctx.equal('the number of exits', forwarded(machine), 1);
    },
  })),
  ...table(refused, ([word, what, stores]) => ({
    id: `bypass.width.${word}.not-sent`,
    claim: `${what} sends no IPI`,
    source: 'SDM vol. 3 11.4.1; arch/x86/kvm/lapic.c: apic_mmio_write',
    async run(ctx: CheckContext) {
      const machine = await refusedSender(ctx, stores);
      ctx.equal('the vectors that arrived', arrived(machine, 1), []);
    },
  })),
  ...table(refused, ([word, what, stores]) => ({
    id: `bypass.width.${word}.not-forwarded`,
    claim: `${what} is not forwarded, since it sends nothing`,
    source: HOOK,
    needs: [forwarding],
    async run(ctx: CheckContext) {
      ctx.equal('the number of exits', forwarded(await refusedSender(ctx, stores)), 0);
    },
  })),
  {
    id: 'bypass.host.msi',
    claim: 'A message-signalled interrupt of user space is no write of the guest: it is not forwarded',
    source: `${HOOK}; Documentation/virt/kvm/api.rst 4.70`,
    needs: [forwarding],
    async run(ctx) {
      const machine = await runSender(ctx, [], {}, (made) => {
        made.signalMsi({ addressLo: 0xfee0_1000, addressHi: 0, data: VECTOR });
      });
      ctx.equal('the vectors that arrived', arrived(machine, 1), [VECTOR]);
      ctx.equal('the number of exits', forwarded(machine), 0);
    },
  },
  {
    id: 'bypass.host.set-lapic',
    claim: 'KVM_SET_LAPIC with another ICR and ICR2 is no write of the guest: it sends and forwards nothing',
    source: `${HOOK}; Documentation/virt/kvm/api.rst 4.58`,
    needs: [forwarding],
    async run(ctx) {
      const machine = await runSender(ctx, [], {}, (made) =>
        made.vcpu(0).vcpu.setLapicRegisters({ ICR2: 1 << 24, ICR: 0x4045 }),
      );
      ctx.equal('the vectors that arrived', arrived(machine, 1), []);
      ctx.equal('the number of exits', forwarded(machine), 0);
    },
  },
  {
    id: 'bypass.host.replay',
    claim: 'A register write that KVM_DSM_IPI replays is not forwarded again',
    source: 'patch 3/3; its receiver would send it back for ever',
    needs: [forwarding, injection],
    async run(ctx) {
      const machine = await ctx.machine({ vcpus: 2, apic: 'xapic' });
      const { request, argument } = ctx.profile.ioctls.KVM_DSM_IPI;
      for (const [val, val2] of [
        [0x310, 1 << 24],
        [0x300, 0x4045],
      ] as const)
        machine.vm.ioctlRaw(request, argument.encode({ vcpuId: 0, val, val2, destId: 1 }));
      machine.vcpu(0).program(flat32(out8(DONE_PORT)));
      await runUntilDone(machine);
      ctx.equal('the vectors that arrived', arrived(machine, 1), [VECTOR]);
      ctx.equal('the number of exits', forwarded(machine), 0);
    },
  },
]);
