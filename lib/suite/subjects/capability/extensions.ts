/** KVM_CHECK_EXTENSION, and the size of kvm_run. */
import { PAGE_SIZE } from '../../../kvm/guest-memory.ts';
import type { Check } from '../../check.ts';
import { icr2, lapicWriter, runUntilDone } from '../../kit/guests.ts';
import { capability as needsCapability } from '../../kit/needs.ts';

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

export const extensionChecks: Check[] = [
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
    claim: 'KVM_CHECK_EXTENSION answers the same before and after an ICR write of a guest',
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
];
