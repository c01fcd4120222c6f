/** What a program can find out before it runs a guest, and whether that agrees with what guests then do. */

import { IA32_APIC_BASE } from '../../abi/apic/msr.ts';
import { _IOW } from '../../abi/kvm/request-number.ts';
import { PAGE_SIZE } from '../../kvm/guest-memory.ts';
import { apicvParameter } from '../../probe/apicv.ts';
import { knowsInjection, probeIcrWrite } from '../../probe/icr-write.ts';
import type { Machine } from '../../script/machine/machine.ts';
import { subject } from '../check.ts';
import type { CheckContext } from '../kit/context.ts';
import { Driver } from '../kit/drive.ts';
import { answerToUnknown, otherHandles } from '../kit/foreign-ioctls.ts';
import { forwardedExits } from '../kit/forwarded-writes.ts';
import { icr, icr2, lapicWriter, runUntilDone } from '../kit/guests.ts';
import { injection, type Need, capability as needsCapability, readableConfig } from '../kit/needs.ts';

const OPTION = 'CONFIG_KVM_DSM_IRQ_FORWARD=y';
/** Numbers below this are asked for: more than any kernel has. */
const CAPABILITIES = 512;

/** What a VMM with in-kernel LAPICs asks for. */
const needed = [
  'KVM_CAP_IRQCHIP',
  'KVM_CAP_USER_MEMORY',
  'KVM_CAP_MP_STATE',
  'KVM_CAP_IRQ_ROUTING',
  'KVM_CAP_VCPU_EVENTS',
  'KVM_CAP_SIGNAL_MSI',
  'KVM_CAP_SPLIT_IRQCHIP',
  'KVM_CAP_IMMEDIATE_EXIT',
] as const;

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
      const built = ctx.facts.config?.lines.includes(OPTION) ?? false;
      const forwarded = forwards(ctx, await ctx.machine({ apic: 'xapic' }));
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
  {
    id: 'capability.extensions.apic',
    claim: 'KVM_CHECK_EXTENSION offers what a VMM with in-kernel LAPICs asks for',
    source: 'Documentation/virt/kvm/api.rst 4.4; the series has no KVM_CAP',
    run(ctx) {
      const kvm = ctx.kvm();
      for (const cap of needed) ctx.ok(Number(ctx.answer(cap, () => kvm.checkExtension(cap))) > 0, `${cap} is 0`);
    },
  },
  {
    id: 'capability.extensions.same',
    claim: 'KVM_CHECK_EXTENSION answers the same before and behind an ICR write of a guest',
    source: 'Documentation/virt/kvm/api.rst 4.4; the series has no KVM_CAP',
    async run(ctx) {
      const machine = await ctx.machine();
      const numbers = Array.from({ length: CAPABILITIES }, (_, number) => number);
      const all = () => numbers.map((number) => machine.kvm.checkExtension(number));
      const before = all();
      machine.vcpu(0).program(lapicWriter([icr2(0)]));
      await runUntilDone(machine);
      const after = all();
      ctx.equal(
        'the capabilities whose answer has changed',
        numbers.filter((number) => before[number] !== after[number]),
        [],
      );
    },
  },
  {
    id: 'capability.kvm-run.mmap-size',
    claim: 'KVM_GET_VCPU_MMAP_SIZE gives a page of kvm_run and a page of port data at least',
    source: 'Documentation/virt/kvm/api.rst 4.5 and 5',
    run(ctx) {
      const vcpu = ctx.own(ctx.kvm().createVm()).createVcpu(0);
      const { byteLength } = vcpu.kvmRun;
      ctx.effect('bytes of kvm_run', byteLength);
      ctx.ok(byteLength >= 2 * PAGE_SIZE && byteLength % PAGE_SIZE === 0, `it gives ${byteLength} bytes`);
    },
  },
  {
    id: 'capability.kvm-run.union-size',
    claim: 'The union of kvm_run has 256 bytes as ever: kvm_valid_regs lies at 288, and what it asks for at 304',
    source: 'patch 1/3, include/uapi/linux/kvm.h: padding; Documentation/virt/kvm/api.rst 5',
    needs: [needsCapability('KVM_CAP_SYNC_REGS')],
    async run(ctx) {
      const machine = await ctx.machine();
      const { vcpu } = machine.vcpu(0).program(lapicWriter([]));
      vcpu.kvmRun.setBigUint64(288, 1n, true);
      await runUntilDone(machine);
      const { rsp, rip } = vcpu.getRegs();
      // struct kvm_regs: rsp is its seventh register, rip its seventeenth.
      const read = (index: number) => vcpu.kvmRun.getBigUint64(304 + index * 8, true);
      ctx.equal('rsp and rip in kvm_run', { rsp: read(6), rip: read(16) }, { rsp, rip });
    },
  },
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
]);
