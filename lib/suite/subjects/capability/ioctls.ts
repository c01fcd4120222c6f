/** Which ioctls the kernel knows, and of which file. */
import { IA32_APIC_BASE } from '../../../abi/apic/msr.ts';
import { _IOW } from '../../../abi/kvm/request-number.ts';
import { askInjection, isKnown, knowsInjection } from '../../../probe/injection.ts';
import type { Check } from '../../check.ts';
import { answerToUnknown, otherHandles } from '../../kit/foreign-ioctls.ts';
import { injection } from '../../kit/needs.ts';

export const ioctlChecks: Check[] = [
  {
    id: 'capability.injection.all-or-none',
    claim: 'The kernel knows all three injection ioctls, or answers ENOTTY to each',
    source: 'patch 3/3, include/uapi/linux/kvm.h',
    run(ctx) {
      const kvm = ctx.kvm();
      const vm = ctx.own(kvm.createVm());
      vm.createIrqchip();
      const vcpu = vm.createVcpu(0);
      const { KVM_DSM_X2APIC, KVM_DSM_APIC_BASE } = ctx.profile.ioctls;
      // What the vCPU has already: nothing changes where the ioctls are known. Each may refuse it, and is known all the same.
      const base = { vcpuId: 0, host: true, index: IA32_APIC_BASE, data: vcpu.getSregs().apicBase };
      const answers = [
        askInjection(kvm, ctx.profile),
        ctx.answer('KVM_DSM_X2APIC', () =>
          vm.ioctlRaw(KVM_DSM_X2APIC.request, KVM_DSM_X2APIC.argument.encode({ vcpuId: 0, data: 0n })),
        ),
        ctx.answer('KVM_DSM_APIC_BASE', () =>
          vm.ioctlRaw(KVM_DSM_APIC_BASE.request, KVM_DSM_APIC_BASE.argument.encode(base)),
        ),
      ];
      const known = answers.filter(isKnown).length;
      ctx.ok(
        known === 0 || known === answers.length,
        `KVM_DSM_IPI, KVM_DSM_X2APIC and KVM_DSM_APIC_BASE answer ${answers.join(', ')}`,
      );
    },
  },
  {
    id: 'capability.injection.needs-forwarding',
    claim: 'A kernel with the injection ioctls forwards ICR writes as well',
    source: 'patch 3/3 builds upon 2/3',
    needs: [injection],
    run(ctx) {
      ctx.effect('KVM_DSM_IPI is known', Number(knowsInjection(ctx.kvm(), ctx.profile)));
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
