/** What ioctls that check answer to what they cannot do, each by an errno of its own. */
import { lapicRegisters } from '../../../abi/apic/lapic.ts';
import { APIC_BASE_ENABLE, IA32_APIC_BASE } from '../../../abi/apic/msr.ts';
import { flat32, spin } from '../../../guest/bytes.ts';
import type { Vm } from '../../../kvm/vm/vm.ts';
import type { MachineOptions } from '../../../script/machine/machine.ts';
import { type Check, table } from '../../check.ts';
import type { CheckContext } from '../../kit/context.ts';
import { baseInjection, checkedInjection, ipiInjection, optIn, x2apic, x2apicInjection } from '../../kit/needs.ts';
import { ABSENT, x2 } from './replay.ts';

const DESIGN = 'kernel/fixed, Documentation/virt/kvm/api.rst: KVM_DSM_IPI, KVM_DSM_X2APIC, KVM_DSM_APIC_BASE';
const needs = [ipiInjection, x2apicInjection, baseInjection, checkedInjection];
const { ICR, ICR2, SELF_IPI, TPR } = lapicRegisters;
/** One IPI to vCPU 1. */
const IPI = x2({ vector: 0x71, destination: 1 });
const BASE = 0xfee0_0000n | APIC_BASE_ENABLE;

/** The three ioctls as they are, past the checks of the methods: what the kernel answers. */
function calls(ctx: CheckContext, vm: Vm) {
  const { KVM_DSM_IPI, KVM_DSM_X2APIC, KVM_DSM_APIC_BASE } = ctx.profile.ioctls;
  const ask = (name: string, request: number, argument: Uint8Array) =>
    ctx.answer(name, () => vm.ioctlRaw(request, argument));
  return {
    ipi: (val: number, val2 = 0, vcpuId = 0) =>
      ask('KVM_DSM_IPI', KVM_DSM_IPI.request, KVM_DSM_IPI.argument.encode({ vcpuId, val, val2, destId: 0 })),
    x2apic: (data: bigint, vcpuId = 0) =>
      ask('KVM_DSM_X2APIC', KVM_DSM_X2APIC.request, KVM_DSM_X2APIC.argument.encode({ vcpuId, data })),
    base: (data: bigint, vcpuId = 0, index = IA32_APIC_BASE) =>
      ask(
        'KVM_DSM_APIC_BASE',
        KVM_DSM_APIC_BASE.request,
        KVM_DSM_APIC_BASE.argument.encode({ vcpuId, host: true, index, data }),
      ),
  };
}

type Calls = ReturnType<typeof calls>;

interface Row {
  word: string;
  claim: string;
  errno: string;
  options: MachineOptions;
  answers(ask: Calls): string[];
  needs?: Check['needs'];
}

const everyIoctl = (ask: Calls, vcpuId: number) => [
  ask.ipi(ICR2, 0, vcpuId),
  ask.x2apic(IPI, vcpuId),
  ask.base(BASE, vcpuId),
];

const rows: readonly Row[] = [
  {
    word: 'no-vcpu',
    claim: 'A vcpu_id that no vCPU has is ENOENT, a negative one too',
    errno: 'ENOENT',
    options: { apic: 'xapic' },
    answers: (ask) => [...everyIoctl(ask, ABSENT), ...everyIoctl(ask, -1)],
  },
  {
    word: 'no-lapic',
    claim: 'A vCPU without in-kernel LAPIC is ENXIO',
    errno: 'ENXIO',
    options: { irqchip: 'none' },
    answers: (ask) => everyIoctl(ask, 0),
  },
  {
    word: 'register',
    claim: 'A register that sends no IPI is EINVAL',
    errno: 'EINVAL',
    options: { apic: 'xapic' },
    answers: (ask) => [ask.ipi(TPR, 0x20), ask.ipi(0x4000), ask.ipi(ICR + 4)],
  },
  {
    word: 'xapic-mode',
    claim: 'A write that a guest makes in x2APIC mode alone is EINVAL for a vCPU in xAPIC mode',
    errno: 'EINVAL',
    options: { apic: 'xapic' },
    answers: (ask) => [ask.x2apic(IPI), ask.ipi(SELF_IPI, 0x71)],
  },
  {
    word: 'x2apic-mode',
    claim: 'A write that a guest makes in xAPIC mode alone is EINVAL for a vCPU in x2APIC mode',
    errno: 'EINVAL',
    options: { apic: 'x2apic' },
    answers: (ask) => [ask.ipi(ICR2), ask.ipi(ICR, 0x4071), ask.x2apic(IPI | (1n << 13n))],
    needs: [x2apic],
  },
  {
    word: 'base',
    claim: 'A value that IA32_APIC_BASE cannot take, and another MSR, are EINVAL',
    errno: 'EINVAL',
    options: { apic: 'xapic' },
    answers: (ask) => [ask.base(BASE | 1n), ask.base(BASE, 0, 0x10)],
  },
  {
    word: 'not-opted-in',
    claim: 'A VM that has not asked for the exits is refused by EINVAL',
    errno: 'EINVAL',
    options: { apic: 'xapic', optIn: [] },
    answers: (ask) => everyIoctl(ask, 0),
    needs: [optIn],
  },
];

/** How long a vCPU's thread may take to its guest. */
const START = 2000;

export const errnoChecks: Check[] = [
  ...table(rows, ({ word, claim, errno, options, answers, needs: more = [] }) => ({
    id: `injection.errno.${word}`,
    claim,
    source: DESIGN,
    needs: [...needs, ...more],
    async run(ctx: CheckContext) {
      const { vm } = await ctx.machine({ vcpus: 2, ...options });
      const got = answers(calls(ctx, vm));
      ctx.equal(
        'the answers',
        got,
        got.map(() => errno),
      );
    },
  })),
  {
    id: 'injection.errno.busy',
    claim: 'A vCPU that runs is EBUSY, and takes the write once it is out of the guest',
    source: DESIGN,
    needs,
    async run(ctx) {
      const machine = await ctx.machine({ vcpus: 2, apic: 'xapic' });
      // With interrupts: Bochs stands still in a guest that spins without.
      machine.vcpu(0).program(flat32(spin));
      const ask = calls(ctx, machine.vm);
      const run = machine.vcpu(0).vcpu.start();
      const ends = performance.now() + START;
      let answer = ask.ipi(ICR2);
      while (answer !== 'EBUSY' && performance.now() < ends) {
        await new Promise((done) => setImmediate(done));
        answer = ask.ipi(ICR2);
      }
      ctx.equal('the answer while it runs', answer, 'EBUSY');
      await run.stop();
      ctx.equal('the answer behind', ask.ipi(ICR2), '0');
    },
  },
];
