/** KVM_DSM_APIC_BASE: writes of IA32_APIC_BASE. */
import { APIC_DEFAULT_PHYS_BASE } from '../../../abi/apic/lapic.ts';
import { APIC_BASE_ENABLE, APIC_BASE_EXTD, IA32_APIC_BASE } from '../../../abi/apic/msr.ts';
import { flat32, mov32, out8, rdmsr, store32 } from '../../../guest/bytes.ts';
import type { Vm } from '../../../kvm/vm/vm.ts';
import type { Machine } from '../../../script/machine/machine.ts';
import type { Check, Shortfall } from '../../check.ts';
import type { CheckContext } from '../../kit/context.ts';
import { Driver } from '../../kit/drive.ts';
import { DONE_PORT } from '../../kit/guests.ts';
import { baseInjection as injecting, x2apic as x2apicOffered } from '../../kit/needs.ts';
import { SOURCE, writeX2Icr } from '../../kit/replay.ts';
import { ERRORS, PATCH, pendingOf, refused, swallowed, x2 } from './replay.ts';

const BASE = `${PATCH}: KVM_DSM_APIC_BASE`;

function rawBase(ctx: CheckContext, vm: Vm, vcpuId: number, data: bigint, host = false): string {
  const { request, argument } = ctx.profile.ioctls.KVM_DSM_APIC_BASE;
  const arg = { vcpuId, host, index: IA32_APIC_BASE, data };
  return ctx.answer('KVM_DSM_APIC_BASE', () => vm.ioctlRaw(request, argument.encode(arg)));
}

const MOVED = 0xfed0_0000n;

/** GiantVM's main branch hands on the address of the value, which no vCPU takes. */
const ADDRESS: Shortfall = {
  profiles: ['gvm-main'],
  reason: 'KVM_DSM_APIC_BASE writes the address of the value to IA32_APIC_BASE, and no vCPU takes that',
  source: 'GiantVM/GVM-kernel, branch main, arch/x86/kvm/dsm.c: kvm_apic_set_base(vcpu, &msr_info.data, ...)',
  cause: /IA32_APIC_BASE/,
};

/** IA32_APIC_BASE, its low half, as the source's guest reads it. */
function readsBase(ctx: CheckContext, machine: Machine): number {
  const code = flat32(mov32('ecx', IA32_APIC_BASE), rdmsr, store32(machine.shared), out8(DONE_PORT));
  machine.vcpu(SOURCE).program(code);
  new Driver(ctx, machine, SOURCE).untilDone();
  return new DataView(machine.memory.read(machine.shared, 4).buffer).getUint32(0, true);
}

export const baseChecks: Check[] = [
  {
    id: 'injection.base.moved',
    claim: "A replayed write of IA32_APIC_BASE moves the APIC page, and the vCPU's guest reads it back",
    source: `${BASE}; SDM vol. 3 11.4.5`,
    needs: [injecting],
    shortfall: ADDRESS,
    async run(ctx) {
      const machine = await ctx.machine({ vcpus: 2, apic: 'xapic' });
      machine.dsmApicBase({ vcpuId: SOURCE, data: MOVED | APIC_BASE_ENABLE });
      ctx.equal('what the guest reads', readsBase(ctx, machine), Number(MOVED | APIC_BASE_ENABLE));
    },
  },
  {
    id: 'injection.base.x2apic',
    claim: 'A replayed change to x2APIC mode holds: the guest then sends by WRMSR',
    source: `${BASE}; SDM vol. 3 11.12.1`,
    needs: [injecting, x2apicOffered],
    shortfall: ADDRESS,
    async run(ctx) {
      const machine = await ctx.machine({ vcpus: 2, apic: 'xapic' });
      for (const vcpuId of [0, SOURCE]) {
        const { apicBase } = machine.vcpu(vcpuId).vcpu.getSregs();
        machine.dsmApicBase({ vcpuId, data: apicBase | APIC_BASE_EXTD });
      }
      machine.vcpu(SOURCE).program(flat32(...writeX2Icr(x2({ vector: 0x71, destination: 0 })), out8(DONE_PORT)));
      new Driver(ctx, machine, SOURCE).untilDone();
      ctx.equal('the vCPUs at which it is pending', pendingOf(machine, 0x71), [0]);
    },
  },
  {
    id: 'injection.base.host',
    claim: 'With host set, a change of mode is taken that a guest may not make: from x2APIC to xAPIC mode',
    source: `${BASE}; SDM vol. 3 11.12.5`,
    needs: [injecting, x2apicOffered],
    shortfall: ADDRESS,
    async run(ctx) {
      const machine = await ctx.machine({ vcpus: 2, apic: 'x2apic' });
      const { vcpu } = machine.vcpu(SOURCE);
      const xapicBase = vcpu.getSregs().apicBase & ~APIC_BASE_EXTD;
      rawBase(ctx, machine.vm, SOURCE, xapicBase, true);
      ctx.equal('IA32_APIC_BASE', vcpu.getSregs().apicBase, xapicBase);
    },
  },
  {
    id: 'injection.base.guest',
    claim: 'Without host, a change of mode that a guest may not make leaves IA32_APIC_BASE as it is',
    source: `${BASE}; SDM vol. 3 11.12.5`,
    needs: [injecting, x2apicOffered],
    async run(ctx) {
      const machine = await ctx.machine({ vcpus: 2, apic: 'x2apic' });
      const { vcpu } = machine.vcpu(SOURCE);
      const { apicBase } = vcpu.getSregs();
      rawBase(ctx, machine.vm, SOURCE, apicBase & ~APIC_BASE_EXTD);
      ctx.equal('IA32_APIC_BASE', vcpu.getSregs().apicBase, apicBase);
    },
  },
  {
    id: 'injection.base.refusal-told',
    claim: 'KVM_DSM_APIC_BASE with a value that the vCPU cannot take is an error',
    source: `${ERRORS}; SDM vol. 3 11.4.4`,
    needs: [injecting],
    shortfall: swallowed('KVM_DSM_APIC_BASE answers 0 for a value that it does not take', BASE),
    async run(ctx) {
      const { vm } = await ctx.machine({ vcpus: 2, apic: 'xapic' });
      // Bit 0 is reserved.
      refused(
        ctx,
        'KVM_DSM_APIC_BASE',
        rawBase(ctx, vm, SOURCE, BigInt(APIC_DEFAULT_PHYS_BASE) | APIC_BASE_ENABLE | 1n),
      );
    },
  },
];
