/** Which vCPU the ioctls act on, and on which they must not. */
import { encodeIcr2 } from '../../../abi/apic/icr.ts';
import { lapicRegisters } from '../../../abi/apic/lapic.ts';
import type { Vm } from '../../../kvm/vm/vm.ts';
import type { Check, Shortfall } from '../../check.ts';
import type { CheckContext } from '../../kit/context.ts';
import { disposableKernel, ipiInjection as injecting } from '../../kit/needs.ts';
import { asPosted } from '../../kit/profiles.ts';
import { ERRORS, IPI, PATCH, refused, swallowed } from './replay.ts';

/** KVM_DSM_IPI as it is, past the checks of `vm.dsmIpi`. */
function rawIpi(
  ctx: CheckContext,
  vm: Vm,
  arg: { vcpuId: number; val: number; val2: number; destId?: number },
): string {
  const { request, argument } = ctx.profile.ioctls.KVM_DSM_IPI;
  return ctx.answer('KVM_DSM_IPI', () => vm.ioctlRaw(request, argument.encode({ destId: 0, ...arg })));
}

const crashes = (reason: string): Shortfall => ({
  profiles: asPosted,
  reason,
  source: 'seen on a v7.1-rc6 kernel with the series',
  cause: /the kernel says: |NULL pointer|WARNING/,
});

function destructive(checks: readonly Check[]): Check[] {
  return checks.map((check) => ({ ...check, destructive: true, needs: [injecting, disposableKernel] }));
}

export const vcpuIdChecks: Check[] = [
  {
    id: 'injection.vcpu-id.negative',
    claim: 'A negative vcpu_id is an error',
    source: ERRORS,
    needs: [injecting],
    shortfall: swallowed('vcpu_id -1 acts on vCPU 0', IPI),
    async run(ctx) {
      const { vm } = await ctx.machine({ vcpus: 2, apic: 'xapic' });
      refused(ctx, 'KVM_DSM_IPI', rawIpi(ctx, vm, { vcpuId: -1, val: lapicRegisters.ICR2, val2: 0 }));
    },
  },
  {
    id: 'injection.vcpu-id.not-index',
    claim: 'vcpu_id is the id that KVM_CREATE_VCPU was given, not the number of the vCPU in the order of creation',
    source: `${IPI}; Documentation/virt/kvm/api.rst 4.7: vcpu_id`,
    needs: [injecting],
    shortfall: {
      profiles: asPosted,
      reason: 'vcpu_id is taken for the index of the vCPU in the order of creation',
      source: `${PATCH}: kvm_get_vcpu`,
      cause: /the vcpu_id whose ICR2 was written/,
    },
    run(ctx) {
      const vm = ctx.own(ctx.kvm().createVm());
      vm.createIrqchip();
      const vcpus = [1, 0].map((id) => vm.createVcpu(id));
      rawIpi(ctx, vm, { vcpuId: 1, val: lapicRegisters.ICR2, val2: encodeIcr2({ destination: 5 }) });
      const written = vcpus.filter((vcpu) => vcpu.lapic().registers.ICR2 !== 0).map(({ vcpuId }) => vcpuId);
      ctx.equal('the vcpu_id whose ICR2 was written', written, [1]);
    },
  },
  ...destructive([
    {
      id: 'injection.crash.no-vcpu',
      claim: 'A vcpu_id that no vCPU has is an error',
      source: ERRORS,
      shortfall: crashes('a vcpu_id that no vCPU has is a NULL dereference in the kernel'),
      async run(ctx) {
        const { vm } = await ctx.machine({ vcpus: 2, apic: 'xapic' });
        refused(ctx, 'KVM_DSM_IPI', rawIpi(ctx, vm, { vcpuId: 7, val: lapicRegisters.ICR2, val2: 0 }));
      },
    },
    {
      id: 'injection.crash.no-lapic',
      claim: 'KVM_DSM_IPI on a VM without in-kernel LAPIC is an error',
      source: ERRORS,
      shortfall: crashes('a VM without in-kernel LAPIC is a NULL dereference in the kernel'),
      async run(ctx) {
        const { vm } = await ctx.machine({ vcpus: 2, irqchip: 'none' });
        refused(ctx, 'KVM_DSM_IPI', rawIpi(ctx, vm, { vcpuId: 0, val: lapicRegisters.ICR2, val2: 0 }));
      },
    },
    {
      id: 'injection.crash.x2apic-icr',
      claim: 'KVM_DSM_IPI of ICR for a vCPU in x2APIC mode is an error, and the kernel has nothing to warn of',
      source: ERRORS,
      shortfall: crashes('a replayed ICR write in x2APIC mode hits a WARN in kvm_lapic_reg_write'),
      async run(ctx) {
        const { vm } = await ctx.machine({ vcpus: 2, apic: 'x2apic' });
        refused(ctx, 'KVM_DSM_IPI', rawIpi(ctx, vm, { vcpuId: 0, val: lapicRegisters.ICR, val2: 0x4071 }));
      },
    },
  ]),
];
