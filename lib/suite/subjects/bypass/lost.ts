/** Ways out of a guest that the series does not see. */

import { X2APIC_ICR, X2APIC_SELF_IPI } from '../../../abi/apic/msr.ts';
import { type Instruction, mov32 } from '../../../guest/bytes.ts';
import type { Cpuid } from '../../../kvm/cpuid.ts';
import type { MachineOptions } from '../../../script/machine/machine.ts';
import type { Check, Shortfall } from '../../check.ts';
import { vmcall, vmmcall } from '../../kit/code.ts';
import type { CheckContext } from '../../kit/context.ts';
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
const hypercall = ({ facts }: CheckContext): Instruction => (facts.module === 'kvm_amd' ? vmmcall : vmcall);

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

export const lostChecks: Check[] = [...lostWays];
