/** A replay in one VM, and another VM of the same host. */
import { encodeIcr, encodeIcr2 } from '../../../abi/apic/icr.ts';
import { APIC_BASE_EXTD, IA32_APIC_BASE } from '../../../abi/apic/msr.ts';
import { flat32, out8 } from '../../../guest/bytes.ts';
import type { Cpuid } from '../../../kvm/cpuid.ts';
import type { Machine } from '../../../script/machine/machine.ts';
import type { Check } from '../../check.ts';
import { rdtscp } from '../../kit/code.ts';
import type { CheckContext } from '../../kit/context.ts';
import { Driver } from '../../kit/drive.ts';
import { DONE_PORT, icr, icr2, writeInstruction } from '../../kit/guests.ts';
import { baseInjection, parameterOn, vmx, x2apic } from '../../kit/needs.ts';
import { asPosted } from '../../kit/profiles.ts';
import { OTHER_PORT } from '../../kit/writers.ts';
import { PATCH } from './replay.ts';

/** CPUID 0x80000001, EDX bit 27. */
const RDTSCP = 1 << 27;
const EXTENDED = 0x8000_0001;

const withoutRdtscp = (cpuid: Cpuid): Cpuid =>
  cpuid.map((entry) => (entry.function === EXTENDED ? { ...entry, edx: (entry.edx & ~RDTSCP) >>> 0 } : entry));

/** A change to x2APIC mode, by the host, while the VMCS that was loaded last is `other`'s. */
function changeMode(ctx: CheckContext, machine: Machine, other: Machine): void {
  const { apicBase } = machine.vcpu(0).vcpu.getSregs();
  other.vcpu(0).vcpu.getSregs();
  const { request, argument } = ctx.profile.ioctls.KVM_DSM_APIC_BASE;
  const data = apicBase | APIC_BASE_EXTD;
  const bytes = argument.encode({ vcpuId: 0, host: true, index: IA32_APIC_BASE, data });
  // What it answers, and whether it does what it should, is judged by injection.answer and injection.base.
  ctx.answer('KVM_DSM_APIC_BASE', () => machine.vm.ioctlRaw(request, bytes));
}

/** For the end: asking for the registers loads the vCPU's own VMCS. */
function needsChanged(ctx: CheckContext, machine: Machine): void {
  if ((machine.vcpu(0).vcpu.getSregs().apicBase & APIC_BASE_EXTD) === 0n)
    ctx.skip('KVM_DSM_APIC_BASE has changed no mode here: nothing could show');
}

const SOURCE = `${PATCH}/x86.c: KVM_DSM_APIC_BASE calls kvm_apic_set_base without vcpu_load; vmx_set_virtual_apic_mode`;

/** GiantVM's main branch hands on the address of the value, which changes nothing. */
const changing = asPosted.filter((name) => name !== 'gvm-main');

export const isolationChecks: Check[] = [
  {
    id: 'injection.isolation.instructions',
    claim: "A replay in one VM takes nothing from another VM's guest: it executes RDTSCP as before",
    source: SOURCE,
    needs: [baseInjection, x2apic, vmx, parameterOn('kvm_intel.flexpriority')],
    shortfall: {
      profiles: changing,
      reason: "KVM_DSM_APIC_BASE writes one VM's controls into the VMCS of another, whose RDTSCP is #UD from then on",
      source: SOURCE,
      // What the machine's handler of #UD tells.
      cause: /cannot go on: .*port 0xe0: 06 /,
    },
    async run(ctx) {
      if (
        !ctx
          .kvm()
          .supportedCpuid()
          .some((one) => one.function === EXTENDED && (one.edx & RDTSCP) !== 0)
      )
        ctx.skip('this CPU has no RDTSCP');
      const replayed = await ctx.machine({ apic: 'xapic', cpuid: withoutRdtscp });
      const other = await ctx.machine({ apic: 'xapic' });
      other.vcpu(0).program(flat32(rdtscp, out8(OTHER_PORT), rdtscp, out8(DONE_PORT)));
      const driver = new Driver(ctx, other);
      driver.until(OTHER_PORT);
      changeMode(ctx, replayed, other);
      driver.untilDone();
      needsChanged(ctx, replayed);
    },
  },
  {
    id: 'injection.isolation.apicv',
    claim: "A replay in one VM takes nothing from another VM's guest that has APICv: its IPIs arrive as before",
    source: SOURCE,
    needs: [baseInjection, x2apic, vmx, parameterOn('kvm_intel.enable_apicv')],
    shortfall: {
      profiles: changing,
      reason: "KVM_DSM_APIC_BASE writes one VM's controls into the VMCS of another, which loses an IPI with APICv",
      source: SOURCE,
      cause: /the vectors in the IRR/,
    },
    async run(ctx) {
      const replayed = await ctx.machine({ apic: 'xapic' });
      const other = await ctx.machine({ vcpus: 2, apic: 'xapic', apicv: true });
      const send = (vector: number) =>
        [icr2(encodeIcr2({ destination: 1 })), icr(encodeIcr({ vector }))].map(writeInstruction);
      other.vcpu(0).program(flat32(...send(0x71), out8(OTHER_PORT), ...send(0x72), out8(DONE_PORT)));
      const driver = new Driver(ctx, other);
      driver.until(OTHER_PORT);
      changeMode(ctx, replayed, other);
      driver.untilDone();
      ctx.equal('the vectors in the IRR', other.vcpu(1).vcpu.lapic().irr, [0x71, 0x72]);
      needsChanged(ctx, replayed);
    },
  },
];
