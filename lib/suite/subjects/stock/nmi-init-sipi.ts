/** NMI, SMI, INIT and SIPI. */
import { mpStates } from '../../../abi/kvm/index.ts';
import { flat32, hlt, nop, out8, write32 } from '../../../guest/bytes.ts';
import type { Check } from '../../check.ts';
import { at, DONE_PORT } from '../../kit/guests.ts';
import { capability } from '../../kit/needs.ts';
import { runSender, send } from '../../kit/senders.ts';
import { KVM, target } from './target.ts';

export const nmiInitSipiChecks: Check[] = [
  {
    id: 'stock.nmi.pending',
    claim: 'An NMI by IPI is pending on its target, and nothing is requested there',
    source: 'SDM vol. 3 11.6.1',
    async run(ctx) {
      const { vcpu } = (await target(ctx, 0x4445)).vcpu(1);
      const { pending, injected } = vcpu.getVcpuEvents().nmi;
      ctx.equal('NMI and IRR', { nmi: pending + injected, irr: vcpu.lapic().irr }, { nmi: 1, irr: [] });
    },
  },
  {
    id: 'stock.nmi.handled',
    claim: 'A vCPU that is entered with an NMI waiting takes it by vector 2, with interrupts disabled as well',
    source: 'SDM vol. 3 7.7.1',
    async run(ctx) {
      const machine = await target(ctx, 0x4400);
      const ap = machine.vcpu(1).program(flat32(nop, nop, nop, out8(DONE_PORT)), { interrupts: false });
      ctx.equal("the target's exit", ap.vcpu.run({ deadline: '8s' }).name, 'KVM_EXIT_IO');
      ctx.equal('the interrupts handled', [...ap.interrupts], [[2, 1]]);
    },
  },
  {
    id: 'stock.smi.pending',
    claim: 'An SMI by IPI is pending on its target',
    source: 'SDM vol. 3 11.6.1',
    needs: [capability('KVM_CAP_X86_SMM')],
    async run(ctx) {
      const machine = await target(ctx, 0x4200);
      ctx.equal('smi.pending', machine.vcpu(1).vcpu.getVcpuEvents().smi.pending, 1);
    },
  },
  {
    id: 'stock.init.waits',
    claim: 'An AP waits for SIPI after an INIT',
    source: 'SDM vol. 3 9.4.4; Documentation/virt/kvm/api.rst 4.38',
    async run(ctx) {
      const machine = await target(ctx, 0x4500);
      ctx.equal("the AP's mp_state", machine.vcpu(1).vcpu.getMpState(), mpStates.KVM_MP_STATE_INIT_RECEIVED);
    },
  },
  {
    id: 'stock.init.deassert',
    claim: 'An INIT level de-assert changes nothing at its target',
    source: `SDM vol. 3 11.6.1; ${KVM}: __apic_accept_irq`,
    async run(ctx) {
      const machine = await target(ctx, 0x8500);
      ctx.equal("the AP's mp_state", machine.vcpu(1).vcpu.getMpState(), mpStates.KVM_MP_STATE_UNINITIALIZED);
    },
  },
  {
    id: 'stock.sipi.entry',
    claim: 'SIPI after INIT makes an AP runnable at the page that its vector names',
    source: 'SDM vol. 3 9.4.4',
    async run(ctx) {
      const { vcpu } = (await target(ctx, 0x4500, 0x4612)).vcpu(1);
      const mpState = vcpu.getMpState();
      const { base, selector } = vcpu.getSregs().cs;
      const { rip } = vcpu.getRegs();
      ctx.equal(
        'where the AP starts',
        { mpState, base, selector, rip },
        { mpState: mpStates.KVM_MP_STATE_RUNNABLE, base: 0x12000n, selector: 0x1200, rip: 0n },
      );
    },
  },
  {
    id: 'stock.sipi.without-init',
    claim: 'A SIPI to a vCPU that does not wait for one changes nothing there',
    source: 'SDM vol. 3 9.4.4',
    async run(ctx) {
      const machine = await runSender(ctx, send(1, 0x4612), {}, (made) =>
        made.vcpu(1).vcpu.setMpState(mpStates.KVM_MP_STATE_RUNNABLE),
      );
      const { vcpu } = machine.vcpu(1);
      const mpState = vcpu.getMpState();
      ctx.equal(
        'where it is',
        { mpState, rip: vcpu.getRegs().rip },
        { mpState: mpStates.KVM_MP_STATE_RUNNABLE, rip: 0xfff0n },
      );
    },
  },
  {
    id: 'stock.sipi.runs',
    claim: 'INIT, SIPI, SIPI start an AP, and its code runs',
    source: 'SDM vol. 3 9.4.4',
    async run(ctx) {
      const machine = await ctx.machine({ vcpus: 2 });
      // For real mode: another one's way out of real mode is assembled first, which takes an emulated CPU seconds.
      const ap = machine.vcpu(1).program({ mode: 'real16', bytes: out8(DONE_PORT) }, { start: 'sipi' });
      const startUp = send(1, 0x4600 | ap.sipiVector);
      machine.vcpu(0).program(flat32(write32(at('SVR'), 0x1ff), ...send(1, 0x4500), ...startUp, ...startUp, hlt));
      await machine.run({ until: { port: DONE_PORT, vcpu: 1 } });
    },
  },
];
