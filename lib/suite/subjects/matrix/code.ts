/** Machine code of the matrix's guests, for 16, 32 and 64 bits. Source: Intel SDM volume 2, chapter 2. */

/** How wide a mode's code is, and how its data segments are. */
export interface CodeWidth {
  bits: 16 | 32 | 64;
  /** The data segments have 64 KiB: an address has 16 bits. */
  small?: boolean;
}

export const le16 = (value: number): number[] => [value & 0xff, (value >>> 8) & 0xff];
export const le32 = (value: number): number[] => [...le16(value), ...le16(value >>> 16)];

/** In 16-bit code an operand of 32 bits has a prefix. */
const operand = ({ bits }: CodeWidth): number[] => (bits === 16 ? [0x66] : []);

/** What an address of 32 bits needs that is no register's: in 64-bit code it would be sign-extended. */
const address = ({ bits, small }: CodeWidth): number[] => (bits === 32 || small ? [] : [0x67]);

/** ModR/M, and what belongs to it, of an operand in memory that has an address. `register`: 0 to 7, or the opcode's digit. */
function atAddress(width: CodeWidth, register: number, where: number): number[] {
  const digit = (register & 7) << 3;
  if (width.small) return [digit | 6, ...le16(where)];
  if (width.bits === 64) return [digit | 4, 0x25, ...le32(where)];
  return [digit | 5, ...le32(where)];
}

/** An instruction with an operand of 32 bits in memory. `rex`: what REX holds beside 0x40, in 64-bit code alone. */
export function memoryOp(
  width: CodeWidth,
  opcode: readonly number[],
  register: number,
  where: number,
  {
    before = [],
    behind = [],
    sized = false,
  }: {
    before?: readonly number[];
    behind?: readonly number[] /** The opcode alone says 32 bits. */;
    sized?: boolean;
  } = {},
): number[] {
  const rex = register > 7 ? [0x44] : [];
  return [
    ...before,
    ...(sized ? [] : operand(width)),
    ...address(width),
    ...rex,
    ...opcode,
    ...atAddress(width, register, where),
    ...behind,
  ];
}

/** `mov dword [where], value` */
export const store = (width: CodeWidth, where: number, value: number): number[] =>
  memoryOp(width, [0xc7], 0, where, { behind: le32(value) });

/** `mov eax, [where]` */
export const load = (width: CodeWidth, where: number): number[] => memoryOp(width, [0x8b], 0, where);

/** `mov [where], eax` by the short form, which has no ModR/M. */
export const storeAccumulator = (width: CodeWidth, where: number): number[] => [
  ...operand(width),
  ...address(width),
  0xa3,
  ...(width.small ? le16(where) : le32(where)),
];

/** `mov byte [where], value` */
export function storeByte(width: CodeWidth, where: number, value: number): number[] {
  return [...address(width), 0xc6, ...atAddress(width, 0, where), value];
}

/** `mov register, value`, 32 bits; register 0 to 15. */
export function move(width: CodeWidth, register: number, value: number): number[] {
  const rex = register > 7 ? [0x41] : [];
  return [...operand(width), ...rex, 0xb8 + (register & 7), ...le32(value)];
}

/** Without an address: `bytes` with the prefix for 32 bits. */
export const op32 = (width: CodeWidth, ...bytes: readonly number[]): number[] => [...operand(width), ...bytes];

/** The same for an instruction that takes its address from a register of 32 bits. */
export const indirect = (width: CodeWidth, ...bytes: readonly number[]): number[] => [
  ...operand(width),
  ...(width.bits === 32 ? [] : [0x67]),
  ...bytes,
];

export const out = (port: number): number[] => [0xe6, port];
export const input = (port: number): number[] => [0xe4, port];
