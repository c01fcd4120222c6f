/** Which ioctls the kernel knows, and of which file. */
import { _IOW } from '../../../abi/kvm/request-number.ts';
import { askInjection, injectionIoctls } from '../../../probe/injection.ts';
import type { Check } from '../../check.ts';
import { answerToUnknown, otherHandles } from '../../kit/foreign-ioctls.ts';
import { ipiInjection } from '../../kit/needs.ts';
import { skipIfAsked } from './other-opt-in.ts';

export const ioctlChecks: Check[] = [
  {
    id: 'capability.injection.all-or-none',
    claim: 'The kernel knows all three injection ioctls, or answers ENOTTY to each',
    source: 'patch 3/3, include/uapi/linux/kvm.h',
    run(ctx) {
      const kvm = ctx.kvm();
      // Each may refuse what it is asked for, and is known all the same.
      const told = injectionIoctls.map((ioctl) => askInjection(kvm, ioctl, ctx.profile));
      ctx.effect('answers', told.length);
      const known = told.filter((one) => one.known).length;
      ctx.ok(
        known === 0 || known === told.length,
        `KVM_DSM_IPI, KVM_DSM_X2APIC and KVM_DSM_APIC_BASE answer ${told.map(({ answers }) => answers[0]).join(', ')}`,
      );
    },
  },
  {
    id: 'capability.injection.needs-forwarding',
    claim: 'A kernel with the injection ioctls forwards ICR writes as well',
    source: 'patch 3/3 builds upon 2/3',
    needs: [ipiInjection],
    run(ctx) {
      ctx.effect('KVM_DSM_IPI is known', Number(askInjection(ctx.kvm(), 'KVM_DSM_IPI', ctx.profile).known));
      if (!ctx.facts.forwards) skipIfAsked(ctx);
      ctx.ok(ctx.facts.forwards, 'KVM_DSM_IPI is known, and an ICR2 write does not come out');
    },
  },
  {
    id: 'capability.injection.vm-only',
    claim: 'The injection ioctls are none of the device and none of a vCPU: both answer as to a number that nobody has',
    source: 'patch 3/3, arch/x86/kvm/x86.c: kvm_arch_vm_ioctl; Documentation/virt/kvm/api.rst 4',
    run(ctx) {
      for (const [what, handle] of otherHandles(ctx)) {
        const unknown = answerToUnknown(ctx, handle, 16);
        for (const [name, { request, argument }] of Object.entries(ctx.profile.ioctls)) {
          const answer = ctx.answer(name, () => handle.ioctlRaw(request, new Uint8Array(argument.size)));
          ctx.equal(`what ${what} answers to ${name}`, answer, unknown);
        }
      }
    },
  },
  {
    id: 'capability.injection.other-size',
    claim: 'A VM answers ENOTTY to an injection ioctl whose argument has another size',
    source: 'patch 3/3, include/uapi/linux/kvm.h; Documentation/driver-api/ioctl.rst',
    run(ctx) {
      const vm = ctx.own(ctx.kvm().createVm());
      vm.createIrqchip();
      vm.createVcpu(0);
      const answers = [0xf3, 0xf4, 0xf5].map((number) =>
        ctx.answer(`number 0x${number.toString(16)} with 8 bytes`, () =>
          vm.ioctlRaw(_IOW(number, 8), new Uint8Array(8)),
        ),
      );
      ctx.equal('the answers', answers, ['ENOTTY', 'ENOTTY', 'ENOTTY']);
    },
  },
  {
    id: 'capability.unknown-ioctl',
    claim: 'A VM answers ENOTTY to a number that nobody has, which is how the injection ioctls are looked for',
    source: 'Documentation/driver-api/ioctl.rst, return code',
    run(ctx) {
      const vm = ctx.own(ctx.kvm().createVm());
      const answer = answerToUnknown(ctx, vm, 16);
      ctx.equal('the answer', answer, 'ENOTTY');
    },
  },
];
