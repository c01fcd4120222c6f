/** INIT and SIPI. */
import { encodeIcr, encodeIcr2, type Icr } from '../../../abi/apic/icr.ts';
import { mpStates } from '../../../abi/kvm/index.ts';
import type { Check } from '../../check.ts';
import type { CheckContext } from '../../kit/context.ts';
import { icr, icr2, lapicWriter } from '../../kit/guests.ts';
import { SDM } from './delivery.ts';
import { sendBy } from './turns.ts';

/** An AP that has not been started yet, and what the boot CPU's IPIs do to it. */
async function toAp(ctx: CheckContext, ...commands: readonly Partial<Icr>[]) {
  const machine = await ctx.machine({ vcpus: 2, apic: 'xapic' });
  const { vcpu } = machine.vcpu(1);
  const send = commands.map((fields) => icr(encodeIcr({ vector: 0, ...fields })));
  sendBy(ctx, machine, lapicWriter([icr2(encodeIcr2({ destination: 1 })), ...send]), () => {
    // KVM_GET_MP_STATE makes KVM act on what waits: an INIT and a SIPI are two steps.
    vcpu.getMpState();
  });
  const state = vcpu.getMpState();
  return { mpState: Object.entries(mpStates).find(([, value]) => value === state)?.[0] ?? state, vcpu };
}

export const startUpChecks: Check[] = [
  {
    id: 'transparency.delivery.init',
    claim: 'An INIT IPI makes an AP that waits for it wait for SIPI',
    source: 'SDM vol. 3 9.4.3; Documentation/virt/kvm/api.rst 4.38',
    async run(ctx) {
      const { mpState } = await toAp(ctx, { deliveryMode: 'init' });
      ctx.equal('the mp_state of the AP', mpState, 'KVM_MP_STATE_INIT_RECEIVED');
    },
  },
  {
    id: 'transparency.delivery.init-deassert',
    claim: 'An INIT level de-assert IPI does nothing to an AP that waits for INIT',
    source: `${SDM}.1`,
    async run(ctx) {
      const { mpState } = await toAp(ctx, { deliveryMode: 'init', level: 'deassert', trigger: 'level' });
      ctx.equal('the mp_state of the AP', mpState, 'KVM_MP_STATE_UNINITIALIZED');
    },
  },
  {
    id: 'transparency.delivery.sipi',
    claim: 'INIT and SIPI start an AP at the page that the vector names',
    source: 'SDM vol. 3 9.4.3; Documentation/virt/kvm/api.rst 4.38',
    async run(ctx) {
      const { mpState, vcpu } = await toAp(ctx, { deliveryMode: 'init' }, { deliveryMode: 'startUp', vector: 0x9a });
      const { cs } = vcpu.getSregs();
      ctx.equal(
        'mp_state, CS and its base, and RIP of the AP',
        { mpState, selector: cs.selector, base: cs.base, rip: vcpu.getRegs().rip },
        { mpState: 'KVM_MP_STATE_RUNNABLE', selector: 0x9a00, base: 0x9_a000n, rip: 0n },
      );
    },
  },
  {
    id: 'transparency.delivery.sipi-alone',
    claim: 'A SIPI does nothing to an AP that has not had an INIT',
    source: 'SDM vol. 3 9.4.3',
    async run(ctx) {
      const { mpState } = await toAp(ctx, { deliveryMode: 'startUp', vector: 0x9a });
      ctx.equal('the mp_state of the AP', mpState, 'KVM_MP_STATE_UNINITIALIZED');
    },
  },
];
