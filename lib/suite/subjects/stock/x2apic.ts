/** IPIs in x2APIC mode. */

import { lapicRegisters } from '../../../abi/apic/lapic.ts';
import { X2APIC_ICR, X2APIC_SELF_IPI } from '../../../abi/apic/msr.ts';
import { KVM_X2APIC_API_USE_32BIT_IDS } from '../../../abi/kvm/capability.ts';
import { mov32, rdmsr, store32, write32 } from '../../../guest/bytes.ts';
import { type Check, table } from '../../check.ts';
import { movEaxEdx } from '../../kit/code.ts';
import type { CheckContext } from '../../kit/context.ts';
import { at } from '../../kit/guests.ts';
import { capability, hardwareVirtualization, parameterOff, x2apic } from '../../kit/needs.ts';
import { keep, keepMsr, reached, runSender, words, writeMsr } from '../../kit/senders.ts';
import { KVM } from './target.ts';

const readable = ['ID', 'VERSION', 'TPR', 'LDR', 'SVR', 'LVT_LINT0'] as const;
/** Source: SDM vol. 3 table 11-6. */
const msrOf = (name: (typeof readable)[number]): number => 0x800 + (lapicRegisters[name] >> 4);

const X2 = { apic: 'x2apic', vcpus: 3 } as const;

const x2Routes = [
  ['physical', 'to an APIC id reaches that vCPU alone', 0x0000_0002_0000_4045n, [2]],
  ['broadcast', 'to destination 0xffffffff reaches every vCPU', 0xffff_ffff_0000_4045n, [0, 1, 2]],
  ['cluster', 'to a logical destination reaches the members of its cluster', 0x0000_0006_0000_4845n, [1, 2]],
  ['others', 'with the shorthand all excluding self reaches every other vCPU', 0x0000_0000_000c_4045n, [1, 2]],
] as const;

export const x2apicChecks: Check[] = [
  ...table(x2Routes, ([word, what, value, expected]) => ({
    id: `stock.x2apic.${word}`,
    claim: `In x2APIC mode a fixed IPI ${what}`,
    source: 'SDM vol. 3 11.12.9 and 11.12.10',
    needs: [x2apic],
    async run(ctx: CheckContext) {
      const machine = await runSender(ctx, writeMsr(X2APIC_ICR, value), X2);
      ctx.equal('the vCPUs that the IPI reached', reached(machine, 0x45), [...expected]);
    },
  })),
  {
    id: 'stock.x2apic.self-ipi',
    claim: 'In x2APIC mode a write of SELF IPI reaches the vCPU that writes alone',
    source: 'SDM vol. 3 11.12.11',
    needs: [x2apic],
    async run(ctx) {
      const machine = await runSender(ctx, writeMsr(X2APIC_SELF_IPI, 0x45n), X2);
      ctx.equal('the vCPUs that the IPI reached', reached(machine, 0x45), [0]);
    },
  },
  {
    id: 'stock.x2apic.registers',
    claim: 'A guest reads the registers of its x2APIC by RDMSR as KVM_GET_LAPIC shows them',
    source: 'SDM vol. 3 11.12.1.2',
    needs: [x2apic],
    async run(ctx) {
      const machine = await runSender(
        ctx,
        ({ shared }) => [
          ...writeMsr(msrOf('TPR'), 0x50n),
          ...readable.flatMap((name, index) => keepMsr(msrOf(name), shared + 4 * index)),
        ],
        X2,
      );
      const { registers } = machine.vcpu(0).vcpu.lapic();
      ctx.equal(
        readable.join(', '),
        words(machine, machine.shared, readable.length),
        readable.map((name) => registers[name]),
      );
      ctx.equal('TPR, LDR', [registers.TPR, registers.LDR], [0x50, 1]);
    },
  },
  {
    id: 'stock.x2apic.page',
    claim: 'In x2APIC mode the page is not there: reads give all ones, and writes do nothing',
    source: `SDM vol. 3 11.12.2; ${KVM}: KVM_X86_QUIRK_LAPIC_MMIO_HOLE`,
    // Where KVM has a page of its own there, the guest reads and writes that.
    needs: [x2apic, hardwareVirtualization, parameterOff('kvm_amd.avic')],
    async run(ctx) {
      const machine = await runSender(
        ctx,
        ({ shared }) => [...keep('ID', shared), ...keep('TPR', shared + 4), write32(at('TPR'), 0x50)],
        X2,
      );
      const { TPR } = machine.vcpu(0).vcpu.lapic().registers;
      ctx.equal('ID, TPR by the page, TPR', [...words(machine, machine.shared, 2), TPR], [0xffff_ffff, 0xffff_ffff, 0]);
    },
  },
  {
    id: 'stock.x2apic.msi',
    claim: "A device's message to 0xff reaches every vCPU in x2APIC mode, if the VM did not ask for other ids",
    source: `Documentation/virt/kvm/api.rst: KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK; ${KVM}: kvm_apic_mda`,
    needs: [x2apic],
    async run(ctx) {
      const machine = await runSender(ctx, [], X2);
      machine.signalMsi({ addressLo: 0xfeef_f000, data: 0x45 });
      ctx.equal('the vCPUs that the message reached', reached(machine, 0x45), [0, 1, 2]);
    },
  },
  {
    id: 'stock.x2apic.foreign-id',
    claim: 'KVM_SET_LAPIC refuses an x2APIC that has the id of another vCPU',
    source: `Documentation/virt/kvm/api.rst: KVM_CAP_X2APIC_API; ${KVM}: kvm_apic_state_fixup`,
    needs: [x2apic, capability('KVM_CAP_X2APIC_API')],
    async run(ctx) {
      const machine = await ctx.machine(X2);
      machine.vm.enableCap('KVM_CAP_X2APIC_API', [BigInt(KVM_X2APIC_API_USE_32BIT_IDS)]);
      const { vcpu } = machine.vcpu(1);
      ctx.equal('its id', vcpu.lapic().registers.ID, 1);
      ctx.equal(
        'the answer',
        ctx.answer('KVM_SET_LAPIC', () => vcpu.setLapicRegisters({ ID: 2 })),
        'EINVAL',
      );
    },
  },
  {
    id: 'stock.x2apic.reads-back',
    claim: 'In x2APIC mode a guest reads from the ICR the 64 bits that it wrote',
    source: 'SDM vol. 3 11.12.9',
    needs: [x2apic],
    async run(ctx) {
      const machine = await runSender(
        ctx,
        ({ shared }) => [
          ...writeMsr(X2APIC_ICR, 0x0000_0077_0000_4045n),
          mov32('ecx', X2APIC_ICR),
          rdmsr,
          store32(shared),
          movEaxEdx,
          store32(shared + 4),
        ],
        X2,
      );
      ctx.equal('the ICR', words(machine, machine.shared, 2), [0x4045, 0x77]);
    },
  },
];
