/** What the documentation of GiantVM's main branch says that a program can find out before it runs a guest. */
import { KVM_CAP_X86_DSM, sharedMemoryRequests } from '../../../abi/dsm/gvm-main.ts';
import type { Check, Shortfall } from '../../check.ts';
import { forwarding, type Need, ofProfile } from '../../kit/needs.ts';

const MAIN = 'GiantVM/GVM-kernel, branch main';
const DOCUMENT = `${MAIN}, Documentation/virt/kvm/x86/dsm.rst`;

const known = (reason: string, where: string): Shortfall => ({
  profiles: ['gvm-main'],
  reason,
  source: `${MAIN}, ${where}`,
});

/** Where they are there, nothing tells whether they would be without CONFIG_KVM_DSM. */
const noInjection: Need = {
  name: 'a kernel without the injection ioctls',
  missing: ({ facts }) =>
    Object.values(facts.injects).some(Boolean)
      ? 'the injection ioctls are there: what they hang on cannot be seen'
      : null,
};

export const documentedChecks: Check[] = [
  {
    id: 'capability.shared-memory.told',
    claim: 'KVM_CHECK_EXTENSION tells of KVM_CAP_X86_DSM exactly where the ioctls of the shared memory are known',
    source: `${DOCUMENT}: Capability Check`,
    needs: [ofProfile('gvm-main')],
    shortfall: known(
      'KVM_CAP_X86_DSM has a number, and KVM_CHECK_EXTENSION answers 0 to it',
      'arch/x86/kvm/x86.c: kvm_vm_ioctl_check_extension has no case for it',
    ),
    run(ctx) {
      const vm = ctx.own(ctx.kvm().createVm());
      // All zeros, in a VM whose shared memory is off: refused before it does anything.
      const request = sharedMemoryRequests.KVM_DSM_MEMCPY;
      const answer = ctx.answer('KVM_DSM_MEMCPY', () =>
        vm.ioctlRaw(request, new Uint8Array((request >>> 16) & 0x3fff)),
      );
      ctx.equal('whether KVM_CAP_X86_DSM is there', vm.checkExtension(KVM_CAP_X86_DSM) > 0, answer !== 'ENOTTY');
    },
  },
  {
    id: 'capability.injection.own-option',
    claim: 'The injection ioctls are there with CONFIG_KVM_DSM_IRQ_FORWARD, as is what they are the other side of',
    source: `${DOCUMENT}: Userspace API`,
    needs: [ofProfile('gvm-main'), forwarding, noInjection],
    shortfall: known('the injection ioctls hang on CONFIG_KVM_DSM', 'arch/x86/kvm/x86.c: kvm_arch_vm_ioctl'),
    run(ctx) {
      const { request, argument } = ctx.profile.ioctls.KVM_DSM_IPI;
      const vm = ctx.own(ctx.kvm().createVm());
      vm.createIrqchip();
      vm.createVcpu(0);
      const answer = ctx.answer('KVM_DSM_IPI', () => vm.ioctlRaw(request, argument.encode({ vcpuId: 0, val: 0x310 })));
      ctx.ok(answer !== 'ENOTTY', 'ICR writes come out, and KVM_DSM_IPI is not known');
    },
  },
];
