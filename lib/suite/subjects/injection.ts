/** The injection ioctls: a write of another machine, replayed on a vCPU's LAPIC. */
import { encodeIcr, encodeIcr2, encodeX2Icr, type IcrFields, type X2IcrFields } from '../../abi/apic/icr.ts';
import { APIC_DEFAULT_PHYS_BASE, lapicRegisters } from '../../abi/apic/lapic.ts';
import { APIC_BASE_ENABLE, APIC_BASE_EXTD, IA32_APIC_BASE } from '../../abi/apic/msr.ts';
import { flat32, mov32, nop, out8, rdmsr, store32 } from '../../guest/bytes.ts';
import type { Vm } from '../../kvm/vm/vm.ts';
import type { Machine } from '../../script/machine/machine.ts';
import { type Check, type Shortfall, subject, table } from '../check.ts';
import type { CheckContext } from '../kit/context.ts';
import { Driver } from '../kit/drive.ts';
import { forwardedWrites, sameRows } from '../kit/forwarded-writes.ts';
import { DONE_PORT, icr, icr2, type LapicWrite } from '../kit/guests.ts';
import { disposableKernel, injection as injecting, splitIrqchip, x2apic as x2apicOffered } from '../kit/needs.ts';
import { type Arrived, SOURCE, sameAsLocal, writeX2Icr, x2apic, xapic } from '../kit/replay.ts';

const PATCH = 'patch 3/3, arch/x86/kvm';
const IPI = `${PATCH}: KVM_DSM_IPI`;
const X2APIC = `${PATCH}: KVM_DSM_X2APIC`;
const BASE = `${PATCH}: KVM_DSM_APIC_BASE`;
const ERRORS = 'Documentation/virt/kvm/api.rst: an ioctl that fails returns -1';
const ABSENT = 0x77;

/** ICR2 and ICR of one IPI. */
const send = (destination: number, fields: IcrFields): LapicWrite[] => [
  icr2(encodeIcr2({ destination })),
  icr(encodeIcr(fields)),
];
const to = (destinations: readonly number[], fields: Omit<IcrFields, 'vector'> = {}): LapicWrite[] =>
  destinations.flatMap((destination, at) => send(destination, { vector: 0x31 + at, ...fields }));
const x2 = (fields: X2IcrFields): bigint => encodeX2Icr(fields);
const x2to = (destinations: readonly number[], fields: Partial<X2IcrFields> = {}): bigint[] =>
  destinations.map((destination, at) => x2({ vector: 0x31 + at, destination, ...fields }));

const somethingCame = (ctx: CheckContext, arrived: readonly Arrived[]) =>
  ctx.ok(
    arrived.some(({ irr, nmi, smi, cs }) => irr !== '' || nmi || smi || (cs !== 0 && cs !== 0xffff_0000)),
    'nothing arrived at any vCPU, by neither way',
  );

function logicalIds(machine: Machine, dfr: number, ids: readonly number[]): void {
  machine.vcpus.forEach(({ vcpu }, at) => {
    vcpu.setLapicRegisters({ DFR: dfr, LDR: (ids[at]! << 24) >>> 0 });
  });
}

interface Row<W> {
  word: string;
  claim: string;
  writes: readonly W[];
  setup?: (machine: Machine) => void;
  /** Nothing is to arrive. */
  vain?: boolean;
  shortfall?: Shortfall;
}

const rows: Row<LapicWrite>[] = [
  {
    word: 'physical',
    claim: 'A replayed IPI to an APIC id arrives at the vCPUs at which a local one would',
    writes: to([0, 1, 2, 3, ABSENT]),
  },
  {
    word: 'broadcast',
    claim: 'A replayed IPI to 0xff arrives at the vCPUs at which a local one would',
    writes: to([0xff]),
  },
  {
    word: 'logical-flat',
    claim: 'A replayed IPI to logical ids of the flat model arrives at the vCPUs at which a local one would',
    writes: to([0b0001, 0b1010, 0b0110, 0xff, 0x80], { destinationMode: 'logical' }),
    setup: (machine) => logicalIds(machine, 0xffff_ffff, [1, 2, 4, 8]),
  },
  {
    word: 'logical-cluster',
    claim: 'A replayed IPI to logical ids of the cluster model arrives at the vCPUs at which a local one would',
    writes: to([0x11, 0x13, 0x21, 0x23, 0x31], { destinationMode: 'logical' }),
    setup: (machine) => logicalIds(machine, 0x0fff_ffff, [0x11, 0x12, 0x21, 0x22]),
  },
  {
    word: 'shorthands',
    claim: 'A replayed IPI with a shorthand arrives at the vCPUs at which a local one would, seen from the source',
    writes: (['self', 'allIncludingSelf', 'allExcludingSelf'] as const).map((shorthand, at) =>
      icr(encodeIcr({ vector: 0x41 + at, shorthand })),
    ),
  },
  {
    word: 'lowest-priority',
    claim: 'A replayed IPI of lowest priority arrives at the vCPU at which a local one would',
    writes: [
      ...to([2], { deliveryMode: 'lowestPriority' }),
      ...send(0b1101, { vector: 0x61, deliveryMode: 'lowestPriority', destinationMode: 'logical' }),
    ],
    setup: (machine) => logicalIds(machine, 0xffff_ffff, [1, 2, 4, 8]),
  },
  {
    word: 'level',
    claim: 'A replayed IPI that is level-triggered sets TMR where a local one would',
    writes: to([2, 3], { trigger: 'level' }),
  },
  {
    word: 'nmi',
    claim: 'A replayed NMI is pending at the vCPUs at which a local one would be',
    writes: [...send(2, { vector: 0, deliveryMode: 'nmi' }), ...send(0, { vector: 0, deliveryMode: 'nmi' })],
  },
  {
    word: 'smi',
    claim: 'A replayed SMI is pending at the vCPU at which a local one would be',
    writes: send(3, { vector: 0, deliveryMode: 'smi' }),
  },
  {
    word: 'init-sipi',
    claim: 'A replayed INIT and a replayed SIPI leave the vCPU in the state in which local ones would',
    writes: [
      ...send(2, { vector: 0, deliveryMode: 'init' }),
      ...send(2, { vector: 0x12, deliveryMode: 'startUp' }),
      ...send(3, { vector: 0, deliveryMode: 'init' }),
    ],
  },
  {
    word: 'reserved-modes',
    claim: 'A replayed IPI of a reserved delivery mode arrives nowhere, as a local one',
    writes: [...to([0, 2], { deliveryMode: 'reserved3' }), ...to([0, 3], { deliveryMode: 'reserved7' })],
    vain: true,
  },
];

const FAST: Shortfall = {
  reason: 'KVM_DSM_X2APIC sends only what the map of LAPICs resolves at once: an IPI to everyone is lost',
  source: X2APIC,
  cause: /behind the replay/,
};

const x2rows: Row<bigint>[] = [
  {
    word: 'physical',
    claim: 'A replayed x2APIC IPI to an APIC id arrives at the vCPUs at which a local one would',
    writes: x2to([0, 1, 2, 3, ABSENT]),
  },
  {
    word: 'logical',
    claim: 'A replayed x2APIC IPI to logical ids arrives at the vCPUs at which a local one would',
    writes: x2to([0b0001, 0b1010, 0b1111, 0x1_0001], { destinationMode: 'logical' }),
  },
  {
    word: 'self',
    claim: 'A replayed x2APIC IPI with the shorthand self arrives at the source',
    writes: x2to([0], { shorthand: 'self' }),
  },
  {
    word: 'nmi',
    claim: 'A replayed x2APIC NMI is pending at the vCPUs at which a local one would be',
    writes: x2to([0, 2], { deliveryMode: 'nmi', vector: 0 }),
  },
  {
    word: 'broadcast',
    claim: 'A replayed x2APIC IPI to 0xffffffff arrives at every vCPU, as a local one',
    writes: x2to([0xffff_ffff]),
    shortfall: FAST,
  },
  {
    word: 'others',
    claim: 'A replayed x2APIC IPI with the shorthand all but self arrives at every other vCPU, as a local one',
    writes: x2to([0], { shorthand: 'allExcludingSelf' }),
    shortfall: FAST,
  },
];

/** How often each handler ran. */
const handled = (machine: Machine, id: number) => [...machine.vcpu(id).interrupts].sort(([a], [b]) => a - b);
const VECTORS = Array.from({ length: 64 }, (_, at) => 0x40 + at);
/** A guest that takes what is pending, and leaves. */
const taker = flat32(nop, nop, out8(DONE_PORT));

function runTaker(ctx: CheckContext, machine: Machine, id: number): void {
  machine.vcpu(id).program(taker);
  new Driver(ctx, machine, id).untilDone();
}

/** KVM_DSM_IPI as it is, past the checks of `vm.dsmIpi`. */
function rawIpi(
  ctx: CheckContext,
  vm: Vm,
  arg: { vcpuId: number; val: number; val2: number; destId?: number },
): string {
  const { request, argument } = ctx.profile.ioctls.KVM_DSM_IPI;
  return ctx.answer('KVM_DSM_IPI', () => vm.ioctlRaw(request, argument.encode({ destId: 0, ...arg })));
}

function rawX2apic(ctx: CheckContext, vm: Vm, vcpuId: number, data: bigint): string {
  const { request, argument } = ctx.profile.ioctls.KVM_DSM_X2APIC;
  return ctx.answer('KVM_DSM_X2APIC', () => vm.ioctlRaw(request, argument.encode({ vcpuId, data })));
}

function rawBase(ctx: CheckContext, vm: Vm, vcpuId: number, data: bigint, host = false): string {
  const { request, argument } = ctx.profile.ioctls.KVM_DSM_APIC_BASE;
  const arg = { vcpuId, host, index: IA32_APIC_BASE, data };
  return ctx.answer('KVM_DSM_APIC_BASE', () => vm.ioctlRaw(request, argument.encode(arg)));
}

/** Fails with the answer that a shortfall is known by. */
function refused(ctx: CheckContext, what: string, answer: string): void {
  if (answer === '0') ctx.fail(`${what} answered 0`);
}

const swallowed = (reason: string, source: string): Shortfall => ({ reason, source, cause: /answered 0/ });
const crashes = (reason: string): Shortfall => ({
  reason,
  source: 'seen on a v7.1-rc6 kernel with the series',
  cause: /the kernel says: |NULL pointer|WARNING/,
});

/** Of the replay of an IPI of `vcpuId` to APIC id 2: where it is pending. */
function pendingOf(machine: Machine, vector: number): number[] {
  return machine.vcpus.filter(({ vcpu }) => vcpu.lapic().irr.includes(vector)).map(({ id }) => id);
}

const MOVED = 0xfed0_0000n;

export const injection = subject('injection', 'what the ioctls of patch 3/3 replay', [
  ...table(rows, ({ word, claim, writes, setup, vain }) => ({
    id: `injection.ipi.${word}`,
    claim,
    source: `${IPI}; SDM vol. 3 11.6.1`,
    needs: [injecting],
    async run(ctx) {
      const arrived = await sameAsLocal(ctx, xapic, writes, setup);
      if (!vain) somethingCame(ctx, arrived);
    },
  })),
  {
    id: 'injection.ipi.split-irqchip',
    claim: 'A replayed IPI arrives in a VM with a split irqchip as a local one would',
    source: `${IPI}; Documentation/virt/kvm/api.rst: KVM_CAP_SPLIT_IRQCHIP`,
    needs: [injecting, splitIrqchip],
    async run(ctx) {
      const writes = [...to([0, 2, 3]), icr(encodeIcr({ vector: 0x51, shorthand: 'allExcludingSelf' }))];
      somethingCame(ctx, await sameAsLocal(ctx, xapic, writes, undefined, { irqchip: 'split' }));
    },
  },
  {
    id: 'injection.ipi.handled',
    claim: "A guest's handlers run once for each of 64 replayed IPIs",
    source: IPI,
    needs: [injecting],
    async run(ctx) {
      const machine = await ctx.machine({ vcpus: 2, apic: 'xapic' });
      machine.dsmIpi({ vcpuId: SOURCE, val: lapicRegisters.ICR2, val2: encodeIcr2({ destination: 0 }) });
      for (const vector of VECTORS)
        machine.dsmIpi({ vcpuId: SOURCE, val: lapicRegisters.ICR, val2: encodeIcr({ vector }) });
      runTaker(ctx, machine, 0);
      sameRows(
        'vectors and how often their handlers ran',
        handled(machine, 0),
        VECTORS.map((vector) => [vector, 1]),
      );
    },
  },
  {
    id: 'injection.ipi.own-icr2',
    claim: 'A replayed ICR write goes to the destination in the ICR2 of its own vCPU, whatever others have in theirs',
    source: IPI,
    needs: [injecting],
    async run(ctx) {
      const machine = await ctx.machine({ vcpus: 4, apic: 'xapic' });
      const ids = [0, 1, 2, 3];
      const destinationOf = (id: number) => (id + 1) % ids.length;
      for (const vcpuId of ids)
        machine.dsmIpi({ vcpuId, val: lapicRegisters.ICR2, val2: encodeIcr2({ destination: destinationOf(vcpuId) }) });
      for (const vcpuId of ids)
        machine.dsmIpi({ vcpuId, val: lapicRegisters.ICR, val2: encodeIcr({ vector: 0x71 + vcpuId }) });
      ctx.effect('replayed writes', 2 * ids.length);
      sameRows(
        'the vCPUs at which each IPI is pending',
        ids.map((id) => pendingOf(machine, 0x71 + id)),
        ids.map((id) => [destinationOf(id)]),
      );
    },
  },
  {
    id: 'injection.ipi.dest-id',
    claim: "The argument's dest_id changes nothing: ICR2 says where the IPI goes",
    source: `${IPI}; the field is not read`,
    needs: [injecting],
    async run(ctx) {
      const machine = await ctx.machine({ vcpus: 4, apic: 'xapic' });
      const write = { vcpuId: SOURCE, destId: 3 };
      machine.dsmIpi({ ...write, val: lapicRegisters.ICR2, val2: encodeIcr2({ destination: 2 }) });
      machine.dsmIpi({ ...write, val: lapicRegisters.ICR, val2: encodeIcr({ vector: 0x71 }) });
      ctx.effect('replayed writes', 2);
      ctx.equal('the vCPUs at which it is pending', pendingOf(machine, 0x71), [2]);
    },
  },
  {
    id: 'injection.ipi.no-notice',
    claim: 'A replay makes no KVM_EXIT_DSM_SEND_IRQ: it does not come back to those who sent it',
    source: `${IPI}; it calls kvm_lapic_reg_write, which makes no request`,
    needs: [injecting],
    async run(ctx) {
      const machine = await ctx.machine({ vcpus: 2, apic: 'xapic' });
      for (const { register, value } of to([0]))
        machine.dsmIpi({ vcpuId: SOURCE, val: lapicRegisters[register], val2: value });
      for (const id of [SOURCE, 0]) {
        machine.vcpu(id).program(taker);
        sameRows(`writes that vCPU ${id} tells of`, forwardedWrites(new Driver(ctx, machine, id).untilDone()), []);
      }
    },
  },
  ...table(x2rows, ({ word, claim, writes, shortfall }) => ({
    id: `injection.x2apic.${word}`,
    claim,
    source: `${X2APIC}; SDM vol. 3 11.12.9`,
    needs: [injecting, x2apicOffered],
    ...(shortfall && { shortfall }),
    async run(ctx) {
      somethingCame(ctx, await sameAsLocal(ctx, x2apic, writes));
    },
  })),
  {
    id: 'injection.x2apic.handled',
    claim: "A guest's handlers run once for each of 64 replayed x2APIC IPIs",
    source: X2APIC,
    needs: [injecting, x2apicOffered],
    async run(ctx) {
      const machine = await ctx.machine({ vcpus: 3, apic: 'x2apic' });
      for (const vector of VECTORS) machine.dsmX2apic({ vcpuId: SOURCE, data: x2({ vector, destination: 2 }) });
      runTaker(ctx, machine, 2);
      sameRows(
        'vectors and how often their handlers ran',
        handled(machine, 2),
        VECTORS.map((vector) => [vector, 1]),
      );
    },
  },
  {
    id: 'injection.x2apic.xapic-mode',
    claim: 'KVM_DSM_X2APIC for a vCPU in xAPIC mode is an error: its guest has no such register',
    source: `${ERRORS}; SDM vol. 3 11.12.1.2`,
    needs: [injecting],
    shortfall: swallowed('KVM_DSM_X2APIC for a vCPU in xAPIC mode answers 0, and the IPI goes astray', X2APIC),
    async run(ctx) {
      const { vm } = await ctx.machine({ vcpus: 3, apic: 'xapic' });
      refused(ctx, 'KVM_DSM_X2APIC', rawX2apic(ctx, vm, SOURCE, x2({ vector: 0x71, destination: 2 })));
    },
  },
  {
    id: 'injection.x2apic.reserved-bits',
    claim: 'KVM_DSM_X2APIC with reserved bits of the ICR set is an error: a WRMSR of them is one',
    source: `${ERRORS}; SDM vol. 3 11.12.9`,
    needs: [injecting, x2apicOffered],
    shortfall: swallowed('KVM_DSM_X2APIC with reserved bits set answers 0, and the IPI is lost', X2APIC),
    async run(ctx) {
      const { vm } = await ctx.machine({ vcpus: 3, apic: 'x2apic' });
      refused(ctx, 'KVM_DSM_X2APIC', rawX2apic(ctx, vm, SOURCE, x2({ vector: 0x71, destination: 2 }) | (1n << 13n)));
    },
  },
  {
    id: 'injection.base.moved',
    claim: "A replayed write of IA32_APIC_BASE moves the APIC page, and the vCPU's guest reads it back",
    source: `${BASE}; SDM vol. 3 11.4.5`,
    needs: [injecting],
    async run(ctx) {
      const machine = await ctx.machine({ vcpus: 2, apic: 'xapic' });
      machine.dsmApicBase({ vcpuId: SOURCE, data: MOVED | APIC_BASE_ENABLE });
      ctx.equal('what the guest reads', readsBase(ctx, machine), Number(MOVED | APIC_BASE_ENABLE));
    },
  },
  {
    id: 'injection.base.x2apic',
    claim: 'A replayed change to x2APIC mode holds: the guest then sends by WRMSR',
    source: `${BASE}; SDM vol. 3 11.12.1`,
    needs: [injecting, x2apicOffered],
    async run(ctx) {
      const machine = await ctx.machine({ vcpus: 2, apic: 'xapic' });
      for (const vcpuId of [0, SOURCE]) {
        const { apicBase } = machine.vcpu(vcpuId).vcpu.getSregs();
        machine.dsmApicBase({ vcpuId, data: apicBase | APIC_BASE_EXTD });
      }
      machine.vcpu(SOURCE).program(flat32(...writeX2Icr(x2({ vector: 0x71, destination: 0 })), out8(DONE_PORT)));
      new Driver(ctx, machine, SOURCE).untilDone();
      ctx.equal('the vCPUs at which it is pending', pendingOf(machine, 0x71), [0]);
    },
  },
  {
    id: 'injection.base.host',
    claim: 'With host set, a change of mode is taken that a guest may not make: from x2APIC to xAPIC mode',
    source: `${BASE}; SDM vol. 3 11.12.5`,
    needs: [injecting, x2apicOffered],
    async run(ctx) {
      const machine = await ctx.machine({ vcpus: 2, apic: 'x2apic' });
      const { vcpu } = machine.vcpu(SOURCE);
      const xapicBase = vcpu.getSregs().apicBase & ~APIC_BASE_EXTD;
      rawBase(ctx, machine.vm, SOURCE, xapicBase, true);
      ctx.equal('IA32_APIC_BASE', vcpu.getSregs().apicBase, xapicBase);
    },
  },
  {
    id: 'injection.base.guest',
    claim: 'Without host, a change of mode that a guest may not make leaves IA32_APIC_BASE as it is',
    source: `${BASE}; SDM vol. 3 11.12.5`,
    needs: [injecting, x2apicOffered],
    async run(ctx) {
      const machine = await ctx.machine({ vcpus: 2, apic: 'x2apic' });
      const { vcpu } = machine.vcpu(SOURCE);
      const { apicBase } = vcpu.getSregs();
      rawBase(ctx, machine.vm, SOURCE, apicBase & ~APIC_BASE_EXTD);
      ctx.equal('IA32_APIC_BASE', vcpu.getSregs().apicBase, apicBase);
    },
  },
  {
    id: 'injection.base.refusal-told',
    claim: 'KVM_DSM_APIC_BASE with a value that the vCPU cannot take is an error',
    source: `${ERRORS}; SDM vol. 3 11.4.4`,
    needs: [injecting],
    shortfall: swallowed('KVM_DSM_APIC_BASE answers 0 for a value that it does not take', BASE),
    async run(ctx) {
      const { vm } = await ctx.machine({ vcpus: 2, apic: 'xapic' });
      // Bit 0 is reserved.
      refused(
        ctx,
        'KVM_DSM_APIC_BASE',
        rawBase(ctx, vm, SOURCE, BigInt(APIC_DEFAULT_PHYS_BASE) | APIC_BASE_ENABLE | 1n),
      );
    },
  },
  {
    id: 'injection.vcpu-id.negative',
    claim: 'A negative vcpu_id is an error',
    source: ERRORS,
    needs: [injecting],
    shortfall: swallowed('vcpu_id -1 acts on vCPU 0', IPI),
    async run(ctx) {
      const { vm } = await ctx.machine({ vcpus: 2, apic: 'xapic' });
      refused(ctx, 'KVM_DSM_IPI', rawIpi(ctx, vm, { vcpuId: -1, val: lapicRegisters.ICR2, val2: 0 }));
    },
  },
  {
    id: 'injection.vcpu-id.not-index',
    claim: 'vcpu_id is the id that KVM_CREATE_VCPU was given, not the number of the vCPU in the order of creation',
    source: `${IPI}; Documentation/virt/kvm/api.rst 4.7: vcpu_id`,
    needs: [injecting],
    shortfall: {
      reason: 'vcpu_id is taken for the index of the vCPU in the order of creation',
      source: `${PATCH}: kvm_get_vcpu`,
      cause: /the vcpu_id whose ICR2 was written/,
    },
    run(ctx) {
      const vm = ctx.own(ctx.kvm().createVm());
      vm.createIrqchip();
      const vcpus = [1, 0].map((id) => vm.createVcpu(id));
      rawIpi(ctx, vm, { vcpuId: 1, val: lapicRegisters.ICR2, val2: encodeIcr2({ destination: 5 }) });
      const written = vcpus.filter((vcpu) => vcpu.lapic().registers.ICR2 !== 0).map(({ vcpuId }) => vcpuId);
      ctx.equal('the vcpu_id whose ICR2 was written', written, [1]);
    },
  },
  ...destructive([
    {
      id: 'injection.crash.no-vcpu',
      claim: 'A vcpu_id that no vCPU has is an error',
      source: ERRORS,
      shortfall: crashes('a vcpu_id that no vCPU has is a NULL dereference in the kernel'),
      async run(ctx) {
        const { vm } = await ctx.machine({ vcpus: 2, apic: 'xapic' });
        refused(ctx, 'KVM_DSM_IPI', rawIpi(ctx, vm, { vcpuId: 7, val: lapicRegisters.ICR2, val2: 0 }));
      },
    },
    {
      id: 'injection.crash.no-lapic',
      claim: 'KVM_DSM_IPI on a VM without in-kernel LAPIC is an error',
      source: ERRORS,
      shortfall: crashes('a VM without in-kernel LAPIC is a NULL dereference in the kernel'),
      async run(ctx) {
        const { vm } = await ctx.machine({ vcpus: 2, irqchip: 'none' });
        refused(ctx, 'KVM_DSM_IPI', rawIpi(ctx, vm, { vcpuId: 0, val: lapicRegisters.ICR2, val2: 0 }));
      },
    },
    {
      id: 'injection.crash.x2apic-icr',
      claim: 'KVM_DSM_IPI of ICR for a vCPU in x2APIC mode is an error, and the kernel has nothing to warn of',
      source: ERRORS,
      shortfall: crashes('a replayed ICR write in x2APIC mode hits a WARN in kvm_lapic_reg_write'),
      async run(ctx) {
        const { vm } = await ctx.machine({ vcpus: 2, apic: 'x2apic' });
        refused(ctx, 'KVM_DSM_IPI', rawIpi(ctx, vm, { vcpuId: 0, val: lapicRegisters.ICR, val2: 0x4071 }));
      },
    },
  ]),
]);

function destructive(checks: readonly Check[]): Check[] {
  return checks.map((check) => ({ ...check, destructive: true, needs: [injecting, disposableKernel] }));
}

/** IA32_APIC_BASE, its low half, as the source's guest reads it. */
function readsBase(ctx: CheckContext, machine: Machine): number {
  const code = flat32(mov32('ecx', IA32_APIC_BASE), rdmsr, store32(machine.shared), out8(DONE_PORT));
  machine.vcpu(SOURCE).program(code);
  new Driver(ctx, machine, SOURCE).untilDone();
  return new DataView(machine.memory.read(machine.shared, 4).buffer).getUint32(0, true);
}
