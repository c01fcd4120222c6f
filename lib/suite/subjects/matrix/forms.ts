/** The instructions by which a guest can write 32 bits to a register of its APIC. */
import type { Exit } from '../../../exit/exit.ts';
import { type CodeWidth, indirect, memoryOp, move, op32, store, storeAccumulator } from './code.ts';
import { CODE, layout } from './layout.ts';

export const generalRegisters = [
  ...['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi'],
  ...['r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15'],
] as const;
type RegisterName = string;

/** Where no memory is, beside what else the matrix's guests ask there. */
const ASKED = 0x40;
/** A word of the guest's memory. */
const SCRATCH = 0x2_0ff0;

/** One way to write. */
export interface WriteForm {
  name: string;
  /** The instructions, the last of which writes `value` to `where`; and the registers that they change. */
  code(width: CodeWidth, where: number, value: number): number[];
  changes: readonly RegisterName[];
  /** What these are afterwards, where it is known. */
  leaves?(where: number, value: number, width: CodeWidth): Readonly<Record<RegisterName, number>>;
  /** It changes the arithmetic flags: as an addition to 0, a logical operation, a comparison of 0 with 0. */
  flags?: 'add' | 'logic' | 'compare';
  /** It writes its value over what was there by an operation with it: the register has to be 0. */
  onZero?: boolean;
  /** The same, where the register has to be all ones. */
  onOnes?: boolean;
  /** In 64-bit code alone. */
  only64?: boolean;
  /** RIP may still be at it at its exit: it looks whether it is done when it is entered again. */
  repeats?: boolean;
  /** It takes an address of 32 bits from a register. */
  wide?: boolean;
  /** In real mode alone, where the code segment can be written. */
  byCs?: boolean;
  /** User space answers for what it reads: an exit of its own comes before the write. */
  asks?: boolean;
  /** With DF set RSI and RDI are eight bytes less afterwards. */
  string?: boolean;
}

/** `mov dword [address], value`: the plain one. */
export const immediate: WriteForm = { name: 'immediate', code: store, changes: [] };

const from = (number: number): WriteForm => ({
  name: `mov-${generalRegisters[number]}`,
  code: (width, where, value) => [...move(width, number, value), ...memoryOp(width, [0x89], number, where)],
  changes: [generalRegisters[number]!],
  leaves: (_, value) => ({ [generalRegisters[number]!]: value }),
  only64: number > 7,
});

/** `mov dword [base], value` with the address in a register. */
const through = (number: number): WriteForm => ({
  name: `through-${generalRegisters[number]}`,
  code: (width, where, value) => [
    ...move(width, number, where),
    ...(number > 7 ? [0x41] : indirect(width)),
    0xc7,
    // EBP and R13 as a base have a displacement.
    ...((number & 7) === 5 ? [0x45, 0] : [number & 7]),
    ...bytes(value),
  ],
  changes: [generalRegisters[number]!],
  leaves: (where) => ({ [generalRegisters[number]!]: where }),
  only64: number > 7,
  wide: true,
});

/** Another way to come to the address: ModR/M's mod 1 and 2, an index. */
const addressed = (
  name: string,
  parts: (where: number) => { base: number; index?: number; modrm: number[] },
): WriteForm => ({
  name,
  code(width, where, value) {
    const { base, index, modrm } = parts(where);
    const indexed = index === undefined ? [] : move(width, 1, index);
    return [...move(width, 3, base >>> 0), ...indexed, ...indirect(width), 0xc7, ...modrm, ...bytes(value)];
  },
  changes: ['rbx', 'rcx'],
  leaves(where) {
    const { base, index } = parts(where);
    return { rbx: base, ...(index === undefined ? {} : { rcx: index }) };
  },
  wide: true,
});

const FAR = 0xf000_0000;
/** What PUSH and ENTER write by the stack pointer; in 64-bit code they write 64 bits, and in 16-bit code SP has 16. */
const byStack = (name: string, code: (where: number, value: number) => number[], rbp = false): WriteForm => ({
  name,
  code: (width, where, value) => (width.bits === 32 ? code(where, value) : store(width, where, value)),
  changes: rbp ? ['rsp', 'rbp'] : ['rsp'],
  leaves: (where, _, { bits }) => (bits === 32 ? { rsp: where, ...(rbp ? { rbp: where } : {}) } : {}),
});
const flat = { bits: 32 } as const;

const bytes = (value: number) => [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];

const withEax = (
  name: string,
  opcode: readonly number[],
  more: Partial<WriteForm> = {},
  before: number[] = [],
): WriteForm => ({
  name,
  code: (width, where, value) => [...move(width, 0, value), ...memoryOp(width, opcode, 0, where, { before })],
  changes: ['rax'],
  leaves: (_, value) => ({ rax: value }),
  ...more,
});

const byImmediate = (name: string, digit: number, before: number[] = []): WriteForm => ({
  name,
  code: (width, where, value) => memoryOp(width, [0x81], digit, where, { before, behind: bytes(value) }),
  changes: [],
  flags: digit === 0 ? 'add' : 'logic',
  onZero: true,
});

const prefixed = (name: string, prefix: number): WriteForm => ({
  name: `segment-${name}`,
  code: (width, where, value) => [prefix, ...store(width, where, value)],
  changes: [],
});

const EDI = 7;
const ESI = 6;

/** `movsd` from where user space answers: KVM makes the write when it has the answer, before it enters the guest. */
export const asking: WriteForm = {
  name: 'movsd-device',
  code: (width, where) => [
    ...move(width, ESI, layout.device + ASKED),
    ...move(width, EDI, where),
    ...indirect(width, 0xa5),
  ],
  changes: ['rsi', 'rdi'],
  leaves: (where) => ({ rsi: layout.device + ASKED + 4, rdi: where + 4 }),
  string: true,
  wide: true,
  asks: true,
};

/** Whether an exit is of such a read. */
export const isAsked = (exit: Exit): boolean =>
  exit.name === 'KVM_EXIT_MMIO' && !exit.isWrite && exit.physAddr === BigInt(layout.device + ASKED);

export const forms: readonly WriteForm[] = [
  ...[0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15].map(from),
  // ESP and R12 as a base need a SIB byte.
  ...[0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15].map(through),
  ...(
    [
      ['es', 0x26],
      ['ss', 0x36],
      ['ds', 0x3e],
      ['fs', 0x64],
      ['gs', 0x65],
    ] as const
  ).map(([name, prefix]) => prefixed(name, prefix)),
  {
    name: 'segment-cs',
    code: (width, where, value) => [0x2e, ...store(width, where - CODE, value)],
    changes: [],
    byCs: true,
  },
  // What was in the register depends on the one.
  { ...withEax('xchg', [0x87]), leaves: () => ({}) },
  {
    name: 'movnti',
    // With a prefix for the size of its operand it is another opcode, which no CPU has: SDM vol. 2, MOVNTI.
    code: (width, where, value) => [
      ...move(width, 0, value),
      ...memoryOp(width, [0x0f, 0xc3], 0, where, { sized: true }),
    ],
    changes: ['rax'],
    leaves: (_, value) => ({ rax: value }),
  },
  addressed('displaced', (where) => ({ base: where - 0x10, modrm: [0x43, 0x10] })),
  addressed('displaced-far', (where) => ({ base: FAR, modrm: [0x83, ...bytes((where - FAR) >>> 0)] })),
  addressed('indexed', (where) => ({ base: where - 0x40, index: 0x10, modrm: [0x04, 0x8b] })),
  {
    name: 'accumulator',
    code: (width, where, value) => [...move(width, 0, value), ...storeAccumulator(width, where)],
    changes: ['rax'],
    leaves: (_, value) => ({ rax: value }),
  },
  byStack('push', (where, value) => [
    ...store(flat, SCRATCH, value),
    ...move(flat, 4, where + 4),
    ...memoryOp(flat, [0xff], 6, SCRATCH),
  ]),
  byStack('push-immediate', (where, value) => [...move(flat, 4, where + 4), 0x68, ...bytes(value)]),
  byStack('enter', (where, value) => [...move(flat, 5, value), ...move(flat, 4, where + 4), 0xc8, 0, 0, 0], true),
  { ...withEax('and', [0x21], { flags: 'logic' }), onOnes: true },
  { ...byImmediate('and-immediate', 4), onZero: false, onOnes: true },
  withEax('or', [0x09], { flags: 'logic', onZero: true }),
  withEax('add', [0x01], { flags: 'add', onZero: true }),
  withEax('xor', [0x31], { flags: 'logic', onZero: true }),
  withEax('xadd', [0x0f, 0xc1], { flags: 'add', onZero: true, leaves: () => ({ rax: 0 }) }),
  withEax('lock-or', [0x09], { flags: 'logic', onZero: true }, [0xf0]),
  byImmediate('add-immediate', 0),
  byImmediate('or-immediate', 1),
  byImmediate('xor-immediate', 6),
  byImmediate('lock-add-immediate', 0, [0xf0]),
  {
    name: 'cmpxchg',
    code: (width, where, value) => [
      ...move(width, 0, 0),
      ...move(width, 2, value),
      ...memoryOp(width, [0x0f, 0xb1], 2, where),
    ],
    changes: ['rax', 'rdx'],
    leaves: (_, value) => ({ rax: 0, rdx: value }),
    flags: 'compare',
    onZero: true,
  },
  {
    name: 'stosd',
    code: (width, where, value) => [...move(width, EDI, where), ...move(width, 0, value), ...indirect(width, 0xab)],
    changes: ['rax', 'rdi'],
    leaves: (where, value) => ({ rax: value, rdi: where + 4 }),
    string: true,
    wide: true,
  },
  {
    name: 'rep-stosd',
    code: (width, where, value) => [
      ...move(width, EDI, where),
      ...move(width, 0, value),
      ...move(width, 1, 1),
      0xf3,
      ...indirect(width, 0xab),
    ],
    changes: ['rax', 'rcx', 'rdi'],
    leaves: (where, value) => ({ rax: value, rcx: 0, rdi: where + 4 }),
    string: true,
    wide: true,
    repeats: true,
  },
  {
    name: 'movsd',
    code: (width, where, value) => [
      ...store(width, SCRATCH, value),
      ...move(width, ESI, SCRATCH),
      ...move(width, EDI, where),
      ...indirect(width, 0xa5),
    ],
    changes: ['rsi', 'rdi'],
    leaves: (where) => ({ rsi: SCRATCH + 4, rdi: where + 4 }),
    string: true,
    wide: true,
  },
  asking,
  {
    name: 'pop',
    // In 64-bit code it would be 64 bits wide.
    code: (width, where, value) =>
      width.bits === 64
        ? store(width, where, value)
        : [...op32(width, 0x68, ...bytes(value)), ...memoryOp(width, [0x8f], 0, where)],
    changes: [],
  },
];
