/** Ways out of a guest that the series does not see. */

import { X2APIC_ICR, X2APIC_SELF_IPI } from '../../../abi/apic/msr.ts';
import { mpStates } from '../../../abi/kvm/index.ts';
import { flat32, type Instruction, mov32, out8, write32 } from '../../../guest/bytes.ts';
import type { Machine, MachineOptions } from '../../../script/machine/machine.ts';
import type { Check, Shortfall } from '../../check.ts';
import { vmcall, vmmcall } from '../../kit/code.ts';
import type { CheckContext } from '../../kit/context.ts';
import { Driver } from '../../kit/drive.ts';
import { DONE_PORT } from '../../kit/guests.ts';
import { HV_X64_MSR_ICR, hypervCpuid } from '../../kit/hyperv.ts';
import { capability, forwarding, hardwareVirtualization, type Need, parameterOn, x2apic } from '../../kit/needs.ts';
import { asPosted } from '../../kit/profiles.ts';
import { arrived, runSender, send, writeMsr } from '../../kit/senders.ts';
import { HOOK } from '../../kit/sources.ts';
import { forwarded, VECTOR } from './guest.ts';

const lost = (reason: string, source: string): Shortfall => ({
  profiles: asPosted,
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
  instructions(ctx: CheckContext, machine: Machine): readonly Instruction[];
  /** The vCPU that it is for. Default 1. */
  to?: number;
}

const x2apicMode: MachineOptions = { apic: 'x2apic' };
const HV_X64_MSR_GUEST_OS_ID = 0x4000_0000;
const KVM_HC_SEND_IPI = 10;

/** `vmcall` or `vmmcall`. */
const hypercall = ({ facts }: CheckContext): Instruction => (facts.module === 'kvm_amd' ? vmmcall : vmcall);

/**
 * A call of Hyper-V's, whose three operands are 64 bits each in 32-bit mode: edx:eax, ebx:ecx, edi:esi. KVM takes calls as
 * Hyper-V's from a guest that has told what it is.
 */
const hypervCall = (ctx: CheckContext, control: number, input: number, output: number): Instruction[] => [
  ...writeMsr(HV_X64_MSR_GUEST_OS_ID, 1n),
  mov32('edx', 0),
  mov32('eax', control),
  mov32('ebx', 0),
  mov32('ecx', input),
  mov32('edi', 0),
  mov32('esi', output),
  hypercall(ctx),
];

/** HvCallSendSyntheticClusterIpi, its operands in registers. */
const SEND_CLUSTER_IPI_FAST = 0x1_000b;
/** HvCallSendSyntheticClusterIpiEx with one bank of VP indices. */
const SEND_CLUSTER_IPI_EX_ONE_BANK = 0x2_0015;

/** struct hv_send_ipi_ex: vector, format (0: a set), the banks that are there, bank 0 with VP 1. */
const sendIpiEx = (address: number): Instruction[] =>
  [VECTOR, 0, 0, 0, 0b1, 0, 0b10, 0].map((word, n) => write32(address + 4 * n, word));

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
    word: 'hyperv-cluster',
    what: 'the hypercall HvCallSendSyntheticClusterIpi (0x0b)',
    source: 'Hyper-V TLFS, HvCallSendSyntheticClusterIpi; arch/x86/kvm/hyperv.c: kvm_hv_send_ipi',
    reason: "Hyper-V's hypercall 0x0b does not pass apic_mmio_write",
    needs: [capability('KVM_CAP_HYPERV_SEND_IPI'), hardwareVirtualization],
    options: { cpuid: hypervCpuid },
    instructions: (ctx) => hypervCall(ctx, SEND_CLUSTER_IPI_FAST, VECTOR, 0b10),
  },
  {
    word: 'hyperv-cluster-ex',
    what: 'the hypercall HvCallSendSyntheticClusterIpiEx (0x15)',
    source: 'Hyper-V TLFS, HvCallSendSyntheticClusterIpiEx; arch/x86/kvm/hyperv.c: kvm_hv_send_ipi',
    reason: "Hyper-V's hypercall 0x15 does not pass apic_mmio_write",
    needs: [capability('KVM_CAP_HYPERV_SEND_IPI'), hardwareVirtualization],
    options: { cpuid: hypervCpuid },
    instructions: (ctx, { shared }) => [
      ...sendIpiEx(shared),
      ...hypervCall(ctx, SEND_CLUSTER_IPI_EX_ONE_BANK, shared, 0),
    ],
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

const lostWays: Check[] = ways.flatMap(({ word, what, source, reason, needs, options, instructions, to = 1 }) => [
  {
    id: `bypass.${word}.forwarded`,
    claim: `An IPI by ${what} is forwarded`,
    source,
    needs: [forwarding, ...needs],
    shortfall: lost(`the forward is lost: ${reason}`, HOOK),
    async run(ctx: CheckContext) {
      const machine = await runSender(ctx, (made) => instructions(ctx, made), options);
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
      const machine = await runSender(ctx, (made) => instructions(ctx, made), options);
      ctx.equal(`the vectors that arrived at vCPU ${to}`, arrived(machine, to), [VECTOR]);
    },
  },
]);

/** What a guest that waits for a lock is woken by: no interrupt, and whom it wakes is in no register of the LAPIC. */
const KVM_HC_KICK_CPU = 5;
const kick = (ctx: CheckContext): Instruction[] => [
  mov32('eax', KVM_HC_KICK_CPU),
  mov32('ebx', 0), // flags
  mov32('ecx', 1), // the APIC id
  hypercall(ctx),
];
const KICK_SOURCE = 'Documentation/virt/kvm/x86/hypercalls.rst 5; arch/x86/kvm/x86.c: kvm_pv_kick_cpu_op';
const WOKEN_PORT = 0x11;

const kickChecks: Check[] = [
  {
    id: 'bypass.pv-kick.forwarded',
    claim: 'The hypercall KVM_HC_KICK_CPU, which wakes a vCPU that halts, is forwarded',
    source: KICK_SOURCE,
    needs: [forwarding, hardwareVirtualization],
    shortfall: lost('the forward is lost: KVM_HC_KICK_CPU does not pass apic_mmio_write', HOOK),
    async run(ctx) {
      const machine = await runSender(ctx, kick(ctx));
      ctx.equal('the number of exits', forwarded(machine), 1);
    },
  },
  {
    id: 'bypass.pv-kick.arrives',
    claim: 'The hypercall KVM_HC_KICK_CPU wakes its local destination',
    source: KICK_SOURCE,
    needs: [hardwareVirtualization],
    async run(ctx) {
      const machine = await ctx.machine({ vcpus: 2, apic: 'xapic' });
      machine.vcpu(0).program(flat32(...kick(ctx), out8(DONE_PORT)));
      machine.vcpu(1).program(flat32(out8(WOKEN_PORT)), { interrupts: false });
      const { vcpu } = machine.vcpu(1);
      vcpu.setMpState(mpStates.KVM_MP_STATE_HALTED);
      new Driver(ctx, machine).untilDone();
      ctx.equal('mp_state of vCPU 1', vcpu.getMpState(), mpStates.KVM_MP_STATE_RUNNABLE);
      new Driver(ctx, machine, 1).until(WOKEN_PORT);
    },
  },
];

export const lostChecks: Check[] = [...lostWays, ...kickChecks];
