/** Which kernels and which vCPUs forward ICR writes. */
import { apicvParameter } from '../../../host/apicv-parameter.ts';
import { readKernelConfig } from '../../../host/kernel-config.ts';
import { probeIcrWrite } from '../../../probe/icr-write.ts';
import type { Machine } from '../../../script/machine/machine.ts';
import type { Check } from '../../check.ts';
import type { CheckContext } from '../../kit/context.ts';
import { Driver } from '../../kit/drive.ts';
import { forwardedExits } from '../../kit/forwarded-writes.ts';
import { icr, icr2, lapicWriter } from '../../kit/guests.ts';
import { type Need, readableConfig } from '../../kit/needs.ts';
import { skipIfAsked } from './other-opt-in.ts';

const OPTION = 'CONFIG_KVM_DSM_IRQ_FORWARD=y';

const apicvOff: Need = {
  name: 'a host without APICv',
  missing: () => (apicvParameter()?.enabled ? 'APICv is on here' : null),
};

/** To an APIC id that no vCPU has. */
const ipi = [icr2(0x7700_0000), icr(0x40f0)];

/** Whether something comes out of a vCPU's ICR writes: how much, and what it says, is the claim of others. */
function forwards(ctx: CheckContext, machine: Machine, id = 0): boolean {
  machine.vcpu(id).program(lapicWriter([...ipi, ...ipi]));
  return forwardedExits(new Driver(ctx, machine, id).untilDone()).length > 0;
}

export const kernelChecks: Check[] = [
  {
    id: 'capability.forwarding.config',
    claim: 'ICR writes come out exactly where the kernel was built with CONFIG_KVM_DSM_IRQ_FORWARD',
    source: 'patch 2/3, arch/x86/kvm/Kconfig',
    needs: [readableConfig],
    async run(ctx) {
      const built = ctx.facts.config?.lines.includes(OPTION) ?? false;
      const forwarded = forwards(ctx, await ctx.machine({ apic: 'xapic' }));
      if (built && !forwarded) skipIfAsked(ctx);
      // Neither on nor off: another version of the series hangs on another option.
      if (!built && forwarded && !readKernelConfig()?.text.includes(OPTION.slice(0, -'=y'.length)))
        ctx.skip(
          `writes come out, and the kernel's configuration does not know ${OPTION}: they hang on another option`,
        );
      ctx.equal(`whether writes come out, ${built ? 'with' : 'without'} ${OPTION}`, forwarded, built);
    },
  },
  {
    id: 'capability.forwarding.stable',
    claim: 'Every new VM forwards ICR writes, or none does',
    source: 'patch 2/3: there is no switch per VM',
    async run(ctx) {
      for (const irqchip of ['full', 'split', 'full'] as const) {
        const forwarded = forwards(ctx, await ctx.machine({ irqchip, apic: 'xapic' }));
        ctx.equal(`whether writes come out with the ${irqchip} irqchip`, forwarded, ctx.facts.forwards);
      }
    },
  },
];

export const vcpuChecks: Check[] = [
  {
    id: 'capability.forwarding.vcpus',
    claim: 'Every vCPU of a VM forwards ICR writes, or none does',
    source: 'patch 2/3: there is no switch per vCPU',
    async run(ctx) {
      const machine = await ctx.machine({ vcpus: 3, apic: 'xapic' });
      for (const { id } of machine.vcpus)
        ctx.equal(`whether vCPU ${id} forwards`, forwards(ctx, machine, id), ctx.facts.forwards);
    },
  },
  {
    id: 'capability.forwarding.parked',
    claim: 'A VM forwards the same whether APICv is inhibited for it or the host has none',
    source: 'patch 2/3; Documentation/virt/kvm/api.rst 4.87: KVM_GUESTDBG_BLOCKIRQ',
    needs: [apicvOff],
    run(ctx) {
      const kvm = ctx.kvm();
      const outcomes = [true, false].map((inhibit) => probeIcrWrite(kvm, { inhibit, profile: ctx.profile }).outcome);
      ctx.effect('guests', outcomes.length);
      ctx.equal('what becomes of an ICR2 write, with the inhibit and without', outcomes[0], outcomes[1]);
    },
  },
];
