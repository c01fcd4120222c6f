/** The instructions by which a guest can write 32 bits to a register of its APIC. */
import { type CodeWidth, indirect, memoryOp, move, op32, store } from './code.ts';

export const generalRegisters = [
  ...['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi'],
  ...['r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15'],
] as const;
type RegisterName = string;

/** One way to write. */
export interface WriteForm {
  name: string;
  /** The instructions, the last of which writes `value` to `where`; and the registers that they change. */
  code(width: CodeWidth, where: number, value: number): number[];
  changes: readonly RegisterName[];
  /** It changes the arithmetic flags. */
  flags?: boolean;
  /** It writes its value over what was there by an operation with it: the register has to be 0. */
  onZero?: boolean;
  /** In 64-bit code alone. */
  only64?: boolean;
  /** RIP may still be at it at its exit: it looks whether it is done when it is entered again. */
  repeats?: boolean;
  /** It takes an address of 32 bits from a register. */
  wide?: boolean;
}

/** `mov dword [address], value`: the plain one. */
export const immediate: WriteForm = { name: 'immediate', code: store, changes: [] };

const from = (number: number): WriteForm => ({
  name: `mov-${generalRegisters[number]}`,
  code: (width, where, value) => [...move(width, number, value), ...memoryOp(width, [0x89], number, where)],
  changes: [generalRegisters[number]!],
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
  only64: number > 7,
  wide: true,
});

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
  ...more,
});

const byImmediate = (name: string, digit: number, before: number[] = []): WriteForm => ({
  name,
  code: (width, where, value) => memoryOp(width, [0x81], digit, where, { before, behind: bytes(value) }),
  changes: [],
  flags: true,
  onZero: true,
});

const prefixed = (name: string, prefix: number): WriteForm => ({
  name: `segment-${name}`,
  code: (width, where, value) => [prefix, ...store(width, where, value)],
  changes: [],
});

const EDI = 7;
const ESI = 6;

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
  withEax('xchg', [0x87]),
  {
    name: 'movnti',
    // With a prefix for the size of its operand it is another opcode, which no CPU has: SDM vol. 2, MOVNTI.
    code: (width, where, value) => [
      ...move(width, 0, value),
      ...memoryOp(width, [0x0f, 0xc3], 0, where, { sized: true }),
    ],
    changes: ['rax'],
  },
  withEax('or', [0x09], { flags: true, onZero: true }),
  withEax('add', [0x01], { flags: true, onZero: true }),
  withEax('xor', [0x31], { flags: true, onZero: true }),
  withEax('xadd', [0x0f, 0xc1], { flags: true, onZero: true }),
  withEax('lock-or', [0x09], { flags: true, onZero: true }, [0xf0]),
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
    flags: true,
    onZero: true,
  },
  {
    name: 'stosd',
    code: (width, where, value) => [...move(width, EDI, where), ...move(width, 0, value), ...indirect(width, 0xab)],
    changes: ['rax', 'rdi'],
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
    wide: true,
  },
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

/** A word of the guest's memory. */
const SCRATCH = 0x2_0ff0;
