/** Entries of the LVT that are no timer's: what a VM has of them, and what comes by them. */
import { ioctls } from '../../../abi/kvm/ioctl.ts';
import { flat32, out8Value, spin, write32 } from '../../../guest/bytes.ts';
import type { Check } from '../../check.ts';
import { at } from '../../kit/guests.ts';
import { capability, fullIrqchip, hardwareVirtualization } from '../../kit/needs.ts';
import { KVM } from './target.ts';

const NMI = 2;
/** IA32_MCG_CAP: how many banks, and whether they interrupt by the LVT. Source: SDM vol. 3 16.3.1.1. */
const BANKS = 10n;
const MCG_CMCI_P = 1n << 10n;
const MASKED = 1 << 16;
/** Channel 0 of the PIT: low and high byte of the count, mode 2. */
const PIT_RATE = 0x34;

export const lvtChecks: Check[] = [
  {
    id: 'stock.lvt.lint0-nmi',
    claim: "With LINT0 as NMI each tick of the PIT is an NMI, as kernels' watchdogs use it",
    source: 'SDM vol. 3 11.5.1; arch/x86/kvm/i8254.c: pit_do_work',
    needs: [fullIrqchip, capability('KVM_CAP_PIT2'), hardwareVirtualization],
    async run(ctx) {
      const machine = await ctx.machine({ apic: 'xapic' });
      machine.vm.createPit2();
      // Every tick counts, though nobody acknowledges IRQ 0.
      machine.vm.setPitReinject(false);
      const start = [
        write32(at('LVT_LINT0'), 0x400),
        out8Value(0x43, PIT_RATE),
        out8Value(0x40, 0),
        out8Value(0x40, 8),
      ];
      machine.vcpu(0).program(flat32(...start, spin));
      await machine.run({ until: { handled: NMI, vcpu: 0, count: 2 } });
      const { interrupts, vcpu } = machine.vcpu(0);
      ctx.equal('what it handled, IRR', [[...interrupts.keys()], vcpu.lapic().irr], [[NMI], []]);
    },
  },
  {
    id: 'stock.lvt.cmci',
    claim: 'A vCPU whose machine-check banks interrupt has an entry more in its LVT, which is masked',
    source: `SDM vol. 3 16.5.1; ${KVM}: kvm_apic_after_set_mcg_cap`,
    needs: [capability('KVM_CAP_MCE')],
    async run(ctx) {
      const supported = new BigUint64Array(1);
      ctx.kvm().ioctlRaw(ioctls.KVM_X86_GET_MCE_CAP_SUPPORTED, new Uint8Array(supported.buffer));
      if ((supported[0]! & MCG_CMCI_P) === 0n) ctx.skip('this KVM offers no machine checks by the LVT');
      const { vcpu } = (await ctx.machine({ apic: 'xapic' })).vcpu(0);
      const entries = () => ((vcpu.lapic().registers.VERSION >>> 16) & 0xff) + 1;
      const before = entries();
      const argument = new Uint8Array(BigUint64Array.of(BANKS | MCG_CMCI_P).buffer);
      vcpu.ioctlRaw(ioctls.KVM_X86_SETUP_MCE, argument);
      ctx.effect('KVM_X86_SETUP_MCE answered');
      ctx.equal('entries more, LVT_CMCI', [entries() - before, vcpu.lapic().registers.LVT_CMCI], [1, MASKED]);
    },
  },
];
