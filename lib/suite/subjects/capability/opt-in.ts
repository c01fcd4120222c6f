/** Which VMs make the exits: those that have asked for them, and nobody else's. */
import { APIC_BASE_ENABLE, IA32_APIC_BASE } from '../../../abi/apic/msr.ts';
import type { DsmOptIn } from '../../../abi/dsm/profiles.ts';
import { flat32, out8 } from '../../../guest/bytes.ts';
import type { Vm } from '../../../kvm/vm/vm.ts';
import type { Check } from '../../check.ts';
import type { CheckContext } from '../../kit/context.ts';
import { Driver } from '../../kit/drive.ts';
import { DONE_PORT } from '../../kit/guests.ts';
import { emits, forwarding, ipiInjection, type Need, optIn } from '../../kit/needs.ts';
import { asPosted } from '../../kit/profiles.ts';
import { send, writeMsr } from '../../kit/senders.ts';

const DESIGN = 'kernel/fixed, Documentation/virt/kvm/api.rst: KVM_CAP_X86_APIC_EXIT';
const VECTOR = 0x45;

/** What a guest that sends an IPI to vCPU 1 and writes its APIC's base leaves with before its end. */
async function exitsOf(ctx: CheckContext, bits: readonly string[]): Promise<string[]> {
  const machine = await ctx.machine({ vcpus: 2, apic: 'xapic', optIn: bits });
  const { apicBase } = machine.vcpu(0).vcpu.getSregs();
  const code = [...send(1, 0x4000 | VECTOR), ...writeMsr(IA32_APIC_BASE, apicBase | APIC_BASE_ENABLE)];
  machine.vcpu(0).program(flat32(...code, out8(DONE_PORT)));
  const exits = new Driver(ctx, machine, 0).untilDone();
  ctx.equal('IRR of the destination', machine.vcpu(1).vcpu.lapic().irr, [VECTOR]);
  return exits.map(({ name }) => name);
}

const wayOf = (ctx: CheckContext): DsmOptIn => ctx.profile.optIn!;
const enable = (ctx: CheckContext, vm: Vm, args: bigint): string =>
  ctx.answer(`KVM_ENABLE_CAP with 0x${args.toString(16)}`, () => vm.enableCap(wayOf(ctx).capability, [args]));

/** A bit that the profile knows and that the kernel offers: a series may be taken without it. */
const offers = (bit: string): Need => ({
  name: `an opt-in with ${bit}`,
  missing({ profile: { optIn }, capability }) {
    const known = optIn?.bits[bit];
    if (!optIn || known === undefined) return `the opt-in has no ${bit}`;
    return capability(optIn.capability) & known ? null : `${optIn.name} does not offer ${bit}`;
  },
});

export const optInChecks: Check[] = [
  {
    id: 'capability.opt-in',
    claim: 'A VM that has asked for nothing makes none of the exits of the series, and its IPIs arrive',
    source:
      'Documentation/virt/kvm/api.rst 7: a VMM that does not know an exit cannot go on, so that it has to ask for it',
    needs: [forwarding],
    shortfall: {
      profiles: asPosted,
      reason: 'every VM of such a kernel makes the exits, and a VMM that does not know them stops',
      source: 'patch 2/3: there is no capability and no switch per VM',
      cause: /^the exits of a VM that has asked for nothing is /,
    },
    async run(ctx) {
      ctx.equal('the exits of a VM that has asked for nothing', await exitsOf(ctx, []), []);
    },
  },
  {
    id: 'capability.opt-in.mask',
    claim: 'KVM_CHECK_EXTENSION offers every bit that VMs ask for, and each bit makes its own exits alone',
    source: DESIGN,
    needs: [forwarding, optIn, emits('KVM_EXIT_DSM_APIC_BASE')],
    async run(ctx) {
      const { bits, usual, capability } = wayOf(ctx);
      const offered = ctx.kvm().checkExtension(capability);
      for (const bit of [...usual, 'BASE']) ctx.ok(offered & bits[bit]!, `${bit} is not offered: ${offered}`);
      const write = 'KVM_EXIT_DSM_SEND_IRQ';
      ctx.equal('the exits with ICR alone', await exitsOf(ctx, ['ICR']), [write, write]);
      ctx.equal('the exits with BASE alone', await exitsOf(ctx, ['BASE']), ['KVM_EXIT_DSM_APIC_BASE']);
      ctx.equal('the exits with PV alone', await exitsOf(ctx, ['PV']), []);
    },
  },
  {
    id: 'capability.opt-in.defer',
    claim:
      'With DEFER the writes come out and their IPI arrives when they are replayed, and DEFER alone is refused by EINVAL',
    source: DESIGN,
    needs: [forwarding, optIn, offers('DEFER'), ipiInjection],
    async run(ctx) {
      const machine = await ctx.machine({ vcpus: 2, apic: 'xapic', optIn: ['ICR', 'DEFER'] });
      const irr = () => machine.vcpu(1).vcpu.lapic().irr;
      machine.vcpu(0).program(flat32(...send(1, 0x4000 | VECTOR), out8(DONE_PORT)));
      const exits = new Driver(ctx, machine, 0).untilDone();
      const writes = exits.flatMap((exit) => (exit.name === 'KVM_EXIT_DSM_SEND_IRQ' ? [exit] : []));
      ctx.equal(
        'the registers whose writes came out',
        writes.map(({ register }) => register),
        ['ICR2', 'ICR'],
      );
      ctx.equal('IRR of the destination before the replay', irr(), []);
      for (const { id, val, val2 } of writes) machine.vm.dsmIpi({ vcpuId: id, val, val2 });
      ctx.equal('IRR of the destination behind the replay', irr(), [VECTOR]);
      const vm = ctx.own(ctx.kvm().createVm(0, { optIn: [] }));
      ctx.equal('the answer', enable(ctx, vm, BigInt(wayOf(ctx).bits.DEFER!)), 'EINVAL');
    },
  },
  {
    id: 'capability.opt-in.unknown-bit',
    claim: 'KVM_ENABLE_CAP refuses a bit that KVM_CHECK_EXTENSION does not have, by EINVAL',
    source: DESIGN,
    needs: [forwarding, optIn],
    run(ctx) {
      const vm = ctx.own(ctx.kvm().createVm(0, { optIn: [] }));
      for (const args of [1n << 31n, 1n << 63n, (1n << 32n) | 1n])
        ctx.equal('the answer', enable(ctx, vm, args), 'EINVAL');
    },
  },
  {
    id: 'capability.opt-in.busy',
    claim: 'KVM_ENABLE_CAP is refused by EBUSY once the VM has a vCPU, and what was asked for before stays',
    source: DESIGN,
    needs: [forwarding, optIn],
    async run(ctx) {
      const machine = await ctx.machine({ vcpus: 2, apic: 'xapic', optIn: [] });
      ctx.equal('the answer', enable(ctx, machine.vm, 1n), 'EBUSY');
      machine.vcpu(0).program(flat32(...send(1, 0x4000 | VECTOR), out8(DONE_PORT)));
      ctx.equal('the exits', new Driver(ctx, machine, 0).untilDone().length, 0);
    },
  },
];
