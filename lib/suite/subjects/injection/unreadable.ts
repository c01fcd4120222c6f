/** An argument that the kernel cannot read. */
import { injectionIoctls } from '../../../probe/injection.ts';
import { type Check, table } from '../../check.ts';
import { baseInjection, disposableKernel, ipiInjection, type Need, x2apicInjection } from '../../kit/needs.ts';
import { refused, swallowed } from './replay.ts';

const needs: Record<(typeof injectionIoctls)[number], Need> = {
  KVM_DSM_IPI: ipiInjection,
  KVM_DSM_X2APIC: x2apicInjection,
  KVM_DSM_APIC_BASE: baseInjection,
};

export const unreadableChecks: Check[] = table(injectionIoctls, (ioctl) => ({
  id: `injection.unreadable.${ioctl.slice('KVM_DSM_'.length).toLowerCase().replace('_', '-')}`,
  claim: `${ioctl} answers EFAULT if its argument cannot be read`,
  source: 'Documentation/virt/kvm/api.rst 4: EFAULT; Documentation/driver-api/ioctl.rst, return code',
  needs: [needs[ioctl], disposableKernel],
  shortfall: swallowed(
    `${ioctl} answers 0 for an argument that it cannot read`,
    'patch 3/3, arch/x86/kvm/x86.c: kvm_arch_vm_ioctl leaves the answer of copy_from_user alone',
  ),
  async run(ctx) {
    const { vm } = await ctx.machine({ vcpus: 2, apic: 'xapic' });
    const answer = ctx.answer(ioctl, () => vm.ioctlUnreadable(ctx.profile.ioctls[ioctl].request));
    refused(ctx, ioctl, answer);
    ctx.equal('the answer', answer, 'EFAULT');
  },
}));
