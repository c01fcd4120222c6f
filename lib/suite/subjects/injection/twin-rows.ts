/** What is written and replayed: each bit of each value, each mode, each destination, each state of source and target. */
import { encodeIcr, encodeIcr2, encodeX2Icr, type IcrFields, type X2IcrFields } from '../../../abi/apic/icr.ts';
import { APIC_DEFAULT_PHYS_BASE } from '../../../abi/apic/lapic.ts';
import { APIC_BASE_ENABLE, APIC_BASE_EXTD } from '../../../abi/apic/msr.ts';
import { mpStates } from '../../../abi/kvm/index.ts';
import { hex } from '../../../base/text.ts';
import type { Vcpu } from '../../../kvm/vcpu/vcpu.ts';
import type { Machine } from '../../../script/machine/machine.ts';
import { SOURCE } from '../../kit/replay.ts';
import type { TwinRow, TwinState } from '../../kit/twins.ts';

/** The vCPU that most rows send to. */
const TARGET = 2;
const VECTOR = 0x71;

const numbers = (count: number) => Array.from({ length: count }, (_, at) => at);

function state(name: string, set: (machine: Machine) => void): TwinState {
  return { name, set };
}

const each = (machine: Machine, registers: (id: number) => Parameters<Vcpu['setLapicRegisters']>[0]) =>
  machine.vcpus.forEach(({ id, vcpu }) => {
    vcpu.setLapicRegisters(registers(id));
  });

const flat = state('flat logical ids', (machine) => each(machine, (id) => ({ DFR: 0xffff_ffff, LDR: 1 << (24 + id) })));
const cluster = state('clusters', (machine) =>
  each(machine, (id) => ({ DFR: 0x0fff_ffff, LDR: (((id >> 1) + 1) << 28) | (1 << (24 + (id & 1))) })),
);

const ipi = (destination: number, fields: IcrFields): TwinRow => ({
  name: `ICR2 ${hex(encodeIcr2({ destination }))}, ICR ${hex(encodeIcr(fields))}`,
  writes: [
    { register: 'ICR2', value: encodeIcr2({ destination }) },
    { register: 'ICR', value: encodeIcr(fields) },
  ],
});

const raw = (icr: number, destId = 0): TwinRow => ({
  name: `ICR ${hex(icr)}${destId === 0 ? '' : `, dest_id ${hex(destId)}`}`,
  writes: [
    { register: 'ICR2', value: encodeIcr2({ destination: TARGET }), destId },
    { register: 'ICR', value: icr >>> 0, destId },
  ],
});

const modes = [
  'fixed',
  'lowestPriority',
  'smi',
  'reserved3',
  'nmi',
  'init',
  'startUp',
  'reserved7',
] as const satisfies IcrFields['deliveryMode'][];
const in_ = (one: TwinState, rows: readonly TwinRow[]): TwinRow[] => rows.map((row) => ({ ...row, state: one }));

export const icr2Bits: TwinRow[] = [0, 0xffff_ffff, ...numbers(32).map((bit) => (1 << bit) >>> 0)].map((value) => ({
  name: `ICR2 ${hex(value)}`,
  writes: [{ register: 'ICR2', value }],
}));

const FIXED = encodeIcr({ vector: VECTOR });

export const icrBits: TwinRow[] = [
  ...numbers(32).map((bit) => raw(FIXED ^ (1 << bit))),
  ...[0, 1, 0xf, 0x10, 0x1f, 0x20, 0xef, 0xff].map((vector) => raw(encodeIcr({ vector }))),
];

const levels: Pick<IcrFields, 'level' | 'trigger'>[] = [
  {},
  { trigger: 'level' },
  { level: 'deassert', trigger: 'level' },
];

export const deliveryModes: TwinRow[] = modes.flatMap((deliveryMode) =>
  levels.flatMap((level) => [TARGET, 0xff].map((to) => ipi(to, { vector: VECTOR, deliveryMode, ...level }))),
);

export const shorthands: TwinRow[] = modes.flatMap((deliveryMode) =>
  (['self', 'allIncludingSelf', 'allExcludingSelf'] as const).map((shorthand) =>
    ipi(TARGET, { vector: VECTOR, deliveryMode, shorthand }),
  ),
);

const destinations = [
  0, 1, 2, 3, 4, 5, 6, 7, 8, 0xf, 0x11, 0x12, 0x13, 0x21, 0x23, 0x2f, 0x31, 0x77, 0x80, 0xf1, 0xfe, 0xff,
];
const sentTo = (fields: Omit<IcrFields, 'vector'>) =>
  (['fixed', 'lowestPriority'] as const).flatMap((deliveryMode) =>
    destinations.map((to) => ipi(to, { vector: VECTOR, deliveryMode, ...fields })),
  );

export const physical: TwinRow[] = sentTo({});
export const logical: TwinRow[] = [
  ...in_(flat, sentTo({ destinationMode: 'logical' })),
  ...in_(cluster, sentTo({ destinationMode: 'logical' })),
];

export const destIds: TwinRow[] = [1, 3, 0x77, 0x8000_0000, 0xffff_ffff].map((destId) => raw(FIXED, destId));

const usual: TwinRow[] = [
  ...modes.map((deliveryMode) => ipi(TARGET, { vector: VECTOR, deliveryMode })),
  ipi(TARGET, { vector: VECTOR, trigger: 'level' }),
  ipi(1 << TARGET, { vector: VECTOR, destinationMode: 'logical' }),
  ipi(0xff, { vector: VECTOR }),
];

/** For what the target makes no difference to. */
const sent: TwinRow[] = [
  ipi(TARGET, { vector: VECTOR }),
  ipi(SOURCE, { vector: VECTOR, deliveryMode: 'lowestPriority' }),
  ipi(0b1111, { vector: VECTOR, destinationMode: 'logical' }),
  ipi(TARGET, { vector: 3 }),
  ipi(0xff, { vector: VECTOR, deliveryMode: 'nmi' }),
];

const of = (id: number, name: string, set: (vcpu: Vcpu, machine: Machine) => void) =>
  state(`${id === SOURCE ? 'source' : 'target'} ${name}`, (machine) => {
    flat.set(machine);
    set(machine.vcpu(id).vcpu, machine);
  });

/** The vector's own bit, and one of a higher class. */
const [OWN, HIGHER] = [1 << (VECTOR & 31), 1 << 5];
const MOVED = 0xfed0_0000n;

const moved = (vcpu: Vcpu) => {
  const { apicBase, ...sregs } = vcpu.getSregs();
  vcpu.setSregs({ ...sregs, apicBase: (apicBase & 0xfffn) | MOVED });
};

/** KVM_SET_LAPIC makes PPR of the vectors that were in service before it. */
function serve(vcpu: Vcpu, isr: Parameters<Vcpu['setLapicRegisters']>[0]): void {
  for (let twice = 0; twice < 2; twice++) vcpu.setLapicRegisters(isr);
}

const taken = (id: number) => [
  of(id, 'off by SVR', (vcpu) => vcpu.setLapicRegisters({ SVR: 0xff })),
  of(id, 'with TPR 0xf0', (vcpu) => vcpu.setLapicRegisters({ TPR: 0xf0 })),
  of(id, 'with a higher vector in service', (vcpu) => serve(vcpu, { ISR7: HIGHER })),
  of(id, 'with the vector in service', (vcpu) => serve(vcpu, { ISR3: OWN })),
  of(id, 'with the vector pending', (vcpu) => vcpu.setLapicRegisters({ IRR3: OWN })),
  of(id, 'with the vector pending, level-triggered', (vcpu) => vcpu.setLapicRegisters({ IRR3: OWN, TMR3: OWN })),
  of(id, 'with LVTs unmasked', (vcpu) =>
    vcpu.setLapicRegisters({ LVT_LINT0: 0x700, LVT_LINT1: 0x400, LVT_ERROR: 0x55 }),
  ),
  of(id, 'with another APIC id', (vcpu) => vcpu.setLapicRegisters({ ID: 7 << 24 })),
  of(id, 'with its page moved', moved),
];

export const targets: TwinRow[] = [
  ...taken(TARGET),
  of(TARGET, 'off', (vcpu) => {
    const { apicBase, ...sregs } = vcpu.getSregs();
    vcpu.setSregs({ ...sregs, apicBase: apicBase & ~APIC_BASE_ENABLE });
  }),
  of(TARGET, 'halted', (vcpu) => vcpu.setMpState(mpStates.KVM_MP_STATE_HALTED)),
  of(TARGET, 'uninitialized', (vcpu) => vcpu.setMpState(mpStates.KVM_MP_STATE_UNINITIALIZED)),
  of(TARGET, 'waiting for SIPI', (vcpu) => vcpu.setMpState(mpStates.KVM_MP_STATE_INIT_RECEIVED)),
  of(TARGET, 'with an NMI pending', (vcpu) => {
    const { nmi } = vcpu.getVcpuEvents();
    vcpu.setVcpuEvents({ nmi: { ...nmi, pending: 1 } });
  }),
  of(TARGET, 'with NMIs masked', (vcpu) => {
    const { nmi } = vcpu.getVcpuEvents();
    vcpu.setVcpuEvents({ nmi: { ...nmi, masked: 1 } });
  }),
].flatMap((one) => in_(one, usual));

export const sources: TwinRow[] = [
  ...taken(SOURCE),
  of(SOURCE, 'with errors told', (vcpu) => vcpu.setLapicRegisters({ ESR: 0x60 })),
  of(SOURCE, 'with other ICRs', (vcpu) => vcpu.setLapicRegisters({ ICR: 0xc0831, ICR2: 0x5a00_0000 })),
].flatMap((one) => in_(one, sent));

/** Where the source's guest has no such register. */
export const sourceOff: TwinRow[] = in_(
  of(SOURCE, 'off', (vcpu) => {
    const { apicBase, ...sregs } = vcpu.getSregs();
    vcpu.setSregs({ ...sregs, apicBase: apicBase & ~APIC_BASE_ENABLE });
  }),
  [raw(FIXED)],
);

const x2 = (value: bigint): TwinRow => ({ name: `ICR ${hex(value)}`, writes: [{ register: 'x2', value }] });
const x2of = (destination: number, fields: Partial<X2IcrFields> = {}): TwinRow =>
  x2(encodeX2Icr({ vector: VECTOR, destination, ...fields }));

const X2_FIXED = encodeX2Icr({ vector: VECTOR, destination: TARGET });
/** 31:20, 17:16 and 13 end in #GP; 19 makes it one to more than one. */
const X2_LEFT_OUT = new Set([13, 16, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31]);

export const x2Bits: TwinRow[] = numbers(64)
  .filter((bit) => !X2_LEFT_OUT.has(bit))
  .map((bit) => x2(X2_FIXED ^ (1n << BigInt(bit))));

export const x2Modes: TwinRow[] = modes.flatMap((deliveryMode) =>
  levels.map((level) => x2of(TARGET, { deliveryMode, ...level })),
);

const x2destinations = [
  0, 1, 2, 3, 4, 5, 8, 0xf, 0x77, 0xfe, 0xff, 0x1_0001, 0x2_000f, 0xffff, 0x7fff_ffff, 0xffff_fffe,
];

export const x2Destinations: TwinRow[] = (['physical', 'logical'] as const).flatMap((destinationMode) =>
  (['fixed', 'lowestPriority'] as const).flatMap((deliveryMode) =>
    x2destinations.map((to) => x2of(to, { destinationMode, deliveryMode })),
  ),
);

export const x2Everyone: TwinRow[] = [
  x2of(0xffff_ffff),
  x2of(0, { shorthand: 'allIncludingSelf' }),
  x2of(0, { shorthand: 'allExcludingSelf' }),
  x2of(0, { shorthand: 'allExcludingSelf', deliveryMode: 'nmi' }),
];

/** What a WRMSR of the ICR ends in #GP for. */
export const x2Refused: TwinRow[] = [13, 16, 17, 20, 31].map((bit) => x2(X2_FIXED | (1n << BigInt(bit))));

const base = (value: bigint, host = false): TwinRow => ({
  name: `IA32_APIC_BASE ${hex(value)}${host ? ' by the host' : ''}`,
  writes: [{ register: 'base', value, host }],
});

const PAGE = BigInt(APIC_DEFAULT_PHYS_BASE);
const [EN, EXTD, BSP] = [APIC_BASE_ENABLE, APIC_BASE_EXTD, 1n << 8n];

/** From xAPIC mode. */
export const baseBits: TwinRow[] = [
  PAGE | EN,
  PAGE | EN | BSP,
  PAGE | EN | EXTD,
  PAGE,
  PAGE | BSP,
  ...numbers(20).map((at) => (PAGE ^ (1n << BigInt(at + 12))) | EN),
].flatMap((value) => [base(value), base(value, true)]);

/** From x2APIC mode: a guest may only switch the LAPIC off. */
export const baseFromX2: TwinRow[] = [
  base(PAGE),
  ...[PAGE, PAGE | EN, PAGE | EN | EXTD, PAGE | EN | EXTD | BSP, MOVED | EN | EXTD].map((value) => base(value, true)),
];

/** What a WRMSR of it ends in #GP for: reserved bits, and x2APIC mode without the LAPIC. */
export const baseRefused: TwinRow[] = [
  ...[0, 1, 7, 9].map((bit) => base(PAGE | EN | (1n << BigInt(bit)))),
  base(PAGE | EXTD),
  base((1n << 63n) | PAGE | EN),
];
