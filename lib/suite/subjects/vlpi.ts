/**
 * The numbers of arm64's per-vCPU vLPI ioctls, called as they are: on x86 nobody has them, and what the series' own words
 * allow, the loss of a pending interrupt, must not come of a call that is refused.
 */
import { isDeepStrictEqual } from 'node:util';
import { encodeIcr } from '../../abi/apic/icr.ts';
import { APIC_DEFAULT_PHYS_BASE, lapicRegisters } from '../../abi/apic/lapic.ts';
import type { GsiRoute } from '../../abi/kvm/gsi-route.ts';
import { kvmDebugGicMsiSetup, type VlpiIoctlName, vlpiIoctls, vlpiVcpuId } from '../../abi/vlpi.ts';
import { flat32, nop, out8 } from '../../guest/bytes.ts';
import type { Vm } from '../../kvm/vm/vm.ts';
import type { Machine } from '../../script/machine/machine.ts';
import { type Check, subject, table } from '../check.ts';
import type { CheckContext } from '../kit/context.ts';
import { Driver } from '../kit/drive.ts';
import { answerToUnknown, type Handle, otherHandles } from '../kit/foreign-ioctls.ts';
import { type ForwardedWrite, sameRows } from '../kit/forwarded-writes.ts';
import { DONE_PORT, writeInstruction } from '../kit/guests.ts';
import { forwarding } from '../kit/needs.ts';
import { send } from '../kit/senders.ts';
import { byTurns, OTHER_PORT, primedMachine, range, writesIn } from '../kit/writers.ts';

const SERIES = 'RFC PATCH 01/13 of the vLPI series, include/uapi/linux/kvm.h';
const UNKNOWN_NUMBER = 'Documentation/driver-api/ioctl.rst, return code';
const DISABLE = 'RFC PATCH 01/13 of the vLPI series, KVM_DISABLE_VCPU_VLPI, and the answer to it';

/** The vCPU that the calls are about: not 0, which is what a mistake makes of much. */
const TARGET = 1;

const vcpuCalls = ['KVM_ENABLE_VCPU_VLPI', 'KVM_DISABLE_VCPU_VLPI', 'KVM_QUERY_VCPU_VLPI'] as const;

/** A vCPU's call, past the refusal of `vm.disableVcpuVlpi` and its like. */
function call(ctx: CheckContext, handle: Handle, name: (typeof vcpuCalls)[number], vcpuId = TARGET): string {
  return ctx.answer(`${name} of vCPU ${vcpuId}`, () =>
    handle.ioctlRaw(vlpiIoctls[name], vlpiVcpuId.encode({ vcpuId })),
  );
}

/** KVM_DEBUG_GIC_MSI_SETUP. Its begin is, in the words of KVM_DSM_IPI: vcpu_id, val, val2. */
function setupMsi(ctx: CheckContext, handle: Handle, [deviceId, eventId, vcpuId]: readonly [number, number, number]) {
  const bytes = kvmDebugGicMsiSetup.encode({ deviceId, eventId, vcpuId });
  return ctx.answer('KVM_DEBUG_GIC_MSI_SETUP', () => handle.ioctlRaw(vlpiIoctls.KVM_DEBUG_GIC_MSI_SETUP, bytes));
}

/** Writes TPR = 0, if somebody takes it for KVM_DSM_IPI. */
const harmless = (vcpuId: number) => [vcpuId, lapicRegisters.TPR, 0] as const;

/** All four. */
const callAll = (ctx: CheckContext, handle: Handle, vcpuId = TARGET): string[] => [
  ...vcpuCalls.map((name) => call(ctx, handle, name, vcpuId)),
  setupMsi(ctx, handle, harmless(vcpuId)),
];

const refused = (ctx: CheckContext, answers: readonly string[]) =>
  ctx.equal(
    'what it answers',
    answers,
    answers.map(() => 'ENOTTY'),
  );

const word = (name: VlpiIoctlName) => name.toLowerCase().replace(/^kvm_|_vcpu_vlpi$/g, '');

const answers: Check[] = table(vcpuCalls, (name) => ({
  id: `vlpi.answer.${word(name)}`,
  claim: `A VM answers ENOTTY to the number of ${name}, whatever vcpu_id it is given`,
  source: `${SERIES}; ${UNKNOWN_NUMBER}`,
  run(ctx) {
    const kvm = ctx.kvm();
    const bare = ctx.own(kvm.createVm());
    const whole = ctx.own(kvm.createVm());
    whole.createIrqchip();
    whole.createVcpu(0);
    whole.createVcpu(TARGET);
    const ids = [0, TARGET, 2, 0x7fff_ffff, -1];
    refused(
      ctx,
      [bare, whole].flatMap((vm) => ids.map((id) => call(ctx, vm, name, id))),
    );
  },
}));

/** A machine with two vCPUs whose LAPICs take interrupts. */
const twoVcpus = (ctx: CheckContext) => ctx.machine({ vcpus: 2, apic: 'xapic' });

const toTarget = APIC_DEFAULT_PHYS_BASE + (TARGET << 12);
const VECTORS = [0x31, 0x62, 0xb3, 0xfe];
const LINE = 5;
const LINE_VECTOR = 0x55;

/** What may wait for a vCPU, and how it is told. */
const waiting: readonly [name: string, what: string, make: (machine: Machine) => void][] = [
  ['irr', 'An interrupt in the IRR', (machine) => machine.signalMsi({ addressLo: toTarget, data: VECTORS[1]! })],
  [
    'many',
    'Each of several interrupts in the IRR',
    (machine) => {
      for (const data of VECTORS) machine.signalMsi({ addressLo: toTarget, data });
    },
  ],
  ['nmi', 'An NMI', (machine) => machine.vcpu(TARGET).nmi()],
  [
    'line',
    'An interrupt of a level-triggered line, whose IOAPIC waits for its EOI,',
    (machine) => {
      const { redirtbl } = machine.vm.getIrqchip('ioapic');
      // Level-triggered, active high, unmasked, physical.
      redirtbl[LINE] = (BigInt(TARGET) << 56n) | (1n << 15n) | BigInt(LINE_VECTOR);
      machine.vm.setIrqchip('ioapic', { redirtbl });
      machine.irqLine(LINE, true);
    },
  ],
];

/** What waits for vCPU 1. */
function pending(machine: Machine) {
  const { vcpu } = machine.vcpu(TARGET);
  const { irr, isr } = vcpu.lapic();
  return { irr, isr, nmi: vcpu.getVcpuEvents().nmi.pending, line: machine.vm.getIrqchip('ioapic').redirtbl[LINE] };
}

const kept: Check[] = table(waiting, ([name, what, make]) => ({
  id: `vlpi.pending.${name}`,
  claim: `${what} is still pending behind the calls`,
  source: DISABLE,
  async run(ctx: CheckContext) {
    const machine = await twoVcpus(ctx);
    const idle = pending(machine);
    make(machine);
    const before = pending(machine);
    ctx.ok(before.irr.length + before.nmi > idle.irr.length + idle.nmi, 'nothing was pending before');
    callAll(ctx, machine.vm);
    ctx.equal("what is pending (IRR, ISR, NMI, the line's entry in the IOAPIC)", pending(machine), before);
  },
}));

/** What a VM holds that KVM can be asked for, by name. */
function stateOf(machine: Machine): Record<string, unknown> {
  const vcpus = machine.vcpus.flatMap(({ id, vcpu }) => [
    [`registers of vCPU ${id}`, vcpu.getRegs()],
    [`special registers of vCPU ${id}`, vcpu.getSregs()],
    [`local APIC of vCPU ${id}`, vcpu.getLapic()],
    [`events of vCPU ${id}`, vcpu.getVcpuEvents()],
    [`mp_state of vCPU ${id}`, vcpu.getMpState()],
  ]);
  const { vm } = machine;
  const chips = [
    ['first PIC', vm.getIrqchip('picMaster')],
    ['second PIC', vm.getIrqchip('picSlave')],
    ['IOAPIC', vm.getIrqchip('ioapic')],
  ];
  return Object.fromEntries([...vcpus, ...chips]);
}

/** Leads to the vCPU that the calls are about. */
const route: GsiRoute = { type: 'msi', gsi: 24, addressLo: toTarget, data: LINE_VECTOR };

type Calls = (ctx: CheckContext, vm: Vm, vcpuId: number) => void;

/** What is in the IRR of vCPU 1 when vCPU 0 has sent it 16 IPIs; the calls are made behind each. */
async function ipisArrived(ctx: CheckContext, calls: Calls): Promise<number[]> {
  const machine = await twoVcpus(ctx);
  const vectors = range(16).map((n) => 0x31 + n * 0xb);
  const code = vectors.flatMap((vector) => [...send(TARGET, encodeIcr({ vector })), out8(OTHER_PORT)]);
  machine.vcpu(0).program(flat32(...code, out8(DONE_PORT)));
  const exits = new Driver(ctx, machine).untilDone(() => calls(ctx, machine.vm, TARGET));
  ctx.ok(exits.length >= vectors.length, `only ${exits.length} exits`);
  return machine.vcpu(TARGET).vcpu.lapic().irr;
}

/** What comes out of a guest's writes; the calls are made at each exit. */
async function writesToldOf(ctx: CheckContext, calls: Calls): Promise<ForwardedWrite[]> {
  const { machine, drivers } = await primedMachine(ctx, [byTurns(12).map(writeInstruction)]);
  return writesIn(drivers[0]!.untilDone(() => calls(ctx, machine.vm, 0)));
}

export const vlpi = subject('vlpi', "numbers of arm64's vLPIs mean nothing here, and cost no interrupt", [
  ...answers,
  {
    id: 'vlpi.answer.msi-setup',
    claim: 'A VM answers ENOTTY to the number of KVM_DEBUG_GIC_MSI_SETUP, which is 0xf3 with 32 bytes',
    source: `${SERIES}; ${UNKNOWN_NUMBER}`,
    async run(ctx) {
      const { vm } = await twoVcpus(ctx);
      refused(ctx, [setupMsi(ctx, vm, harmless(TARGET))]);
    },
  },
  {
    id: 'vlpi.answer.handles',
    claim: 'The device and a vCPU answer to the four numbers as to one that nobody has',
    source: `${SERIES}: VM ioctls; ${UNKNOWN_NUMBER}`,
    run(ctx) {
      for (const [what, handle] of otherHandles(ctx)) {
        const unknown = answerToUnknown(ctx, handle, 4);
        const said = callAll(ctx, handle, 0);
        ctx.equal(
          `what ${what} answers`,
          said,
          said.map(() => unknown),
        );
      }
    },
  },
  {
    id: 'vlpi.msi-setup.writes-nothing',
    claim: 'KVM_DEBUG_GIC_MSI_SETUP is not taken for KVM_DSM_IPI, which has its number: it writes no register',
    source: `${SERIES}; patch 3/3, include/uapi/linux/kvm.h`,
    async run(ctx) {
      const machine = await twoVcpus(ctx);
      const tpr = () => machine.vcpu(TARGET).vcpu.lapic().registers.TPR;
      const before = tpr();
      setupMsi(ctx, machine.vm, [TARGET, lapicRegisters.TPR, 0x55]);
      ctx.equal('TPR behind the call', tpr(), before);
    },
  },
  {
    id: 'vlpi.msi-setup.sends-nothing',
    claim: 'KVM_DEBUG_GIC_MSI_SETUP is not taken for KVM_DSM_IPI, which has its number: it sends no IPI',
    source: `${SERIES}; patch 3/3, include/uapi/linux/kvm.h`,
    async run(ctx) {
      const machine = await twoVcpus(ctx);
      const icr = encodeIcr({ vector: LINE_VECTOR, shorthand: 'allIncludingSelf' });
      setupMsi(ctx, machine.vm, [TARGET, lapicRegisters.ICR, icr]);
      ctx.equal(
        'the vectors in the IRR of each vCPU',
        machine.vcpus.map(({ vcpu }) => vcpu.lapic().irr),
        [[], []],
      );
    },
  },
  {
    id: 'vlpi.state',
    claim: 'The calls change nothing of a VM: registers, local APICs, events, mp_state, PICs and IOAPIC',
    source: UNKNOWN_NUMBER,
    async run(ctx) {
      const machine = await twoVcpus(ctx);
      machine.signalMsi({ addressLo: toTarget, data: VECTORS[0]! });
      const before = stateOf(machine);
      callAll(ctx, machine.vm);
      const after = stateOf(machine);
      ctx.equal(
        'what has changed',
        Object.keys(before).filter((part) => !isDeepStrictEqual(before[part], after[part])),
        [],
      );
    },
  },
  {
    id: 'vlpi.routes',
    claim: 'The calls change no route: a message that is routed to the vCPU arrives as before',
    source: `${SERIES}: KVM_DEBUG_GIC_MSI_SETUP makes a route; ${UNKNOWN_NUMBER}`,
    async run(ctx) {
      const machine = await twoVcpus(ctx);
      machine.vm.setGsiRouting([route]);
      callAll(ctx, machine.vm);
      machine.irqLine(route.gsi, true);
      ctx.equal('the vectors in the IRR', machine.vcpu(TARGET).vcpu.lapic().irr, [LINE_VECTOR]);
    },
  },
  ...kept,
  {
    id: 'vlpi.pending.taken',
    claim: "A vCPU's guest takes each interrupt that was pending before the calls, once",
    source: DISABLE,
    async run(ctx) {
      const machine = await twoVcpus(ctx);
      for (const data of VECTORS) machine.signalMsi({ addressLo: toTarget, data });
      callAll(ctx, machine.vm);
      // At each exit an emulated CPU looks for interrupts again.
      const turns = VECTORS.flatMap(() => [nop, out8(OTHER_PORT)]);
      machine.vcpu(TARGET).program(flat32(...turns, nop, out8(DONE_PORT)));
      new Driver(ctx, machine, TARGET).untilDone();
      ctx.equal(
        'how often each handler ran',
        [...machine.vcpu(TARGET).interrupts].sort(([a], [b]) => a - b),
        VECTORS.map((vector) => [vector, 1]),
      );
    },
  },
  {
    id: 'vlpi.pending.between',
    claim: 'The IPIs that one vCPU sends to another arrive the same with the calls between them and without',
    source: DISABLE,
    async run(ctx) {
      const [without, between] = [await ipisArrived(ctx, () => {}), await ipisArrived(ctx, callAll)];
      ctx.equal('the vectors in the IRR', between, without);
    },
  },
  {
    id: 'vlpi.pending.forwarded',
    claim: "A guest's ICR writes come out the same with the calls at each exit and without",
    source: `${DISABLE}; patch 2/3`,
    needs: [forwarding],
    async run(ctx) {
      const [without, between] = [await writesToldOf(ctx, () => {}), await writesToldOf(ctx, callAll)];
      sameRows('the writes that came out', between, without);
    },
  },
]);
