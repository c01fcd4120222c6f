/** What a program can find out before it runs a guest, and whether that agrees with what guests then do. */
import { subject } from '../check.ts';
import { knowsInjection } from '../facts.ts';
import { icr2, lapicWriter, runUntilDone } from '../guests.ts';
import { injection, readableConfig } from '../needs.ts';

const OPTION = 'CONFIG_KVM_DSM_IRQ_FORWARD=y';

export const capability = subject('capability', 'what the kernel says of itself agrees with what it does', [
  {
    id: 'capability.api-version',
    claim: 'KVM_GET_API_VERSION answers 12',
    source: 'Documentation/virt/kvm/api.rst 4.1',
    run(ctx) {
      const kvm = ctx.kvm();
      ctx.equal(
        'the API version',
        ctx.answer('KVM_GET_API_VERSION', () => kvm.apiVersion),
        '12',
      );
    },
  },
  {
    id: 'capability.forwarding.config',
    claim: 'ICR writes come out exactly where the kernel was built with CONFIG_KVM_DSM_IRQ_FORWARD',
    source: 'patch 2/3, arch/x86/kvm/Kconfig',
    needs: [readableConfig],
    async run(ctx) {
      const machine = await ctx.machine();
      machine.vcpu(0).program(lapicWriter([icr2(0)]));
      const forwarded = (await runUntilDone(machine)).named('KVM_EXIT_DSM_SEND_IRQ').length;
      const built = ctx.facts.config?.lines.includes(OPTION) ?? false;
      ctx.equal(
        `the number of exits for one ICR2 write, ${built ? 'with' : 'without'} ${OPTION}`,
        forwarded,
        built ? 1 : 0,
      );
    },
  },
  {
    id: 'capability.forwarding.stable',
    claim: 'Every new VM forwards ICR writes, or none does',
    source: 'patch 2/3: there is no switch per VM',
    async run(ctx) {
      for (const irqchip of ['full', 'split', 'full'] as const) {
        const machine = await ctx.machine({ irqchip });
        machine.vcpu(0).program(lapicWriter([icr2(0)]));
        const forwarded = (await runUntilDone(machine)).named('KVM_EXIT_DSM_SEND_IRQ').length;
        ctx.equal(`the number of exits with the ${irqchip} irqchip`, forwarded, ctx.facts.forwards ? 1 : 0);
      }
    },
  },
  {
    id: 'capability.injection.all-or-none',
    claim: 'The kernel knows all three injection ioctls, or answers ENOTTY to each',
    source: 'patch 3/3, include/uapi/linux/kvm.h',
    run(ctx) {
      const kvm = ctx.kvm();
      const known = knowsInjection(kvm, ctx.profile);
      const vm = ctx.own(kvm.createVm());
      vm.createIrqchip();
      const vcpu = vm.createVcpu(0);
      const { KVM_DSM_X2APIC, KVM_DSM_APIC_BASE } = ctx.profile.ioctls;
      // What the vCPU has already: nothing changes where the ioctls are known.
      const base = { vcpuId: 0, host: true, index: IA32_APIC_BASE, data: vcpu.getSregs().apicBase };
      const answers = [
        ctx.answer('KVM_DSM_X2APIC', () =>
          vm.ioctlRaw(KVM_DSM_X2APIC.request, KVM_DSM_X2APIC.argument.encode({ vcpuId: 0, data: 0n })),
        ),
        ctx.answer('KVM_DSM_APIC_BASE', () =>
          vm.ioctlRaw(KVM_DSM_APIC_BASE.request, KVM_DSM_APIC_BASE.argument.encode(base)),
        ),
      ];
      const expected = known ? '0' : 'ENOTTY';
      ctx.equal('what KVM_DSM_X2APIC and KVM_DSM_APIC_BASE answer', answers, [expected, expected]);
    },
  },
  {
    id: 'capability.injection.needs-forwarding',
    claim: 'A kernel with the injection ioctls forwards ICR writes as well',
    source: 'patch 3/3 builds upon 2/3',
    needs: [injection],
    run(ctx) {
      ctx.effect('KVM_DSM_IPI answered 0', Number(knowsInjection(ctx.kvm(), ctx.profile)));
      ctx.ok(ctx.facts.forwards, 'KVM_DSM_IPI is known, and an ICR2 write does not come out');
    },
  },
]);

const IA32_APIC_BASE = 0x1b;
