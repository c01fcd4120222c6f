/**
 * Instructions of the suite's guests that lib/guest/bytes.ts lacks: their bytes, and beside them what they say. Loading
 * the assembler takes an emulated CPU seconds, so it is not loaded in the lab; a test assembles each text, and holds both
 * equal.
 */
import { type Instruction, wrmsr } from '../../guest/bytes.ts';

/** What a text has to assemble to. */
export interface Encoding {
  mode: 'flat32' | 'long64' | 'real16';
  text: string;
  bytes: Instruction;
}

/** Every instruction here; one with operands by an example. */
export const encodings: Encoding[] = [];

/** The same bytes each time. */
function plain(text: string, ...bytes: readonly number[]): Instruction {
  return plainIn('flat32', text, ...bytes);
}

function plainIn(mode: Encoding['mode'], text: string, ...bytes: readonly number[]): Instruction {
  const instruction = Uint8Array.from(bytes);
  encodings.push({ mode, text, bytes: instruction });
  return instruction;
}

/** One whose operands are given with each use, and here by an example. */
function withOperands<O extends readonly number[]>(
  text: (...operands: O) => string,
  bytes: (...operands: O) => readonly number[],
  example: O,
  mode: Encoding['mode'] = 'flat32',
): (...operands: O) => Instruction {
  const made = (...operands: O) => Uint8Array.from(bytes(...operands));
  encodings.push({ mode, text: text(...example), bytes: made(...example) });
  return made;
}

const le32 = (value: number) => [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];

/** An address and a value whose bytes all differ, and no short form does for them. */
const ADDRESS = 0x8091_a2b3;
const VALUE = 0x4c5d_6e7f;

export const iretd = plain('iretd', 0xcf);
export const cld = plain('cld', 0xfc);
export const std = plain('std', 0xfd);
export const movsd = plain('movsd', 0xa5);
export const stosd = plain('stosd', 0xab);
export const repMovsd = plain('rep movsd', 0xf3, 0xa5);
export const repStosd = plain('rep stosd', 0xf3, 0xab);
export const pushad = plain('pushad', 0x60);
export const pushEax = plain('push eax', 0x50);
export const vmcall = plain('vmcall', 0x0f, 0x01, 0xc1);
export const vmmcall = plain('vmmcall', 0x0f, 0x01, 0xd9);
export const vmrun = plain('vmrun', 0x0f, 0x01, 0xd8);
export const rdtscp = plain('rdtscp', 0x0f, 0x01, 0xf9);

export const movEaxEdx = plain('mov eax, edx', 0x89, 0xd0);
export const movEbxEsp = plain('mov ebx, esp', 0x89, 0xe3);
export const movEspEbx = plain('mov esp, ebx', 0x89, 0xdc);
export const leaEspEdi4 = plain('lea esp, [edi + 4]', 0x8d, 0x67, 0x04);
export const addEsp4 = plain('add esp, 4', 0x83, 0xc4, 0x04);
/** Of a handler of a fault without an error code on the stack: on behind an instruction of two bytes. */
export const skipTwoBytes = plain('add dword [esp], 2', 0x83, 0x04, 0x24, 0x02);

export const wbinvd = plain('wbinvd', 0x0f, 0x09);
/** Goes round itself ECX times. */
export const loopHere = plain('loop $', 0xe2, 0xfe);

export const movAtEdiEax = plain('mov [edi], eax', 0x89, 0x07);
export const xchgAtEdiEax = plain('xchg [edi], eax', 0x87, 0x07);
export const orAtEdiEax = plain('or [edi], eax', 0x09, 0x07);
export const addAtEdiEax = plain('add [edi], eax', 0x01, 0x07);
export const popAtEdi = plain('pop dword [edi]', 0x8f, 0x07);

/** Writes eax to ICR2 and adds 1 to its destination, ecx times. */
export const writeIcr2Ecx = plain(
  `again:
    mov [0xfee00310], eax
    add eax, 0x01000000
    dec ecx
    jnz again`,
  ...[0xa3, 0x10, 0x03, 0xe0, 0xfe],
  ...[0x05, 0x00, 0x00, 0x00, 0x01],
  ...[0x49, 0x75, 0xf3],
);

export const andEax = withOperands(
  (mask) => `and eax, ${mask}`,
  (mask: number) => [0x25, ...le32(mask)],
  [VALUE],
);
export const orEax = withOperands(
  (bits) => `or eax, ${bits}`,
  (bits: number) => [0x0d, ...le32(bits)],
  [VALUE],
);
export const push32 = withOperands(
  (value) => `push dword ${value}`,
  (value: number) => [0x68, ...le32(value)],
  [VALUE],
);
export const movMemoryEbx = withOperands(
  (address) => `mov [${address}], ebx`,
  (address: number) => [0x89, 0x1d, ...le32(address)],
  [ADDRESS],
);
export const movntiMemoryEbx = withOperands(
  (address) => `movnti [${address}], ebx`,
  (address: number) => [0x0f, 0xc3, 0x1d, ...le32(address)],
  [ADDRESS],
);
export const xchgMemoryEbx = withOperands(
  (address) => `xchg [${address}], ebx`,
  (address: number) => [0x87, 0x1d, ...le32(address)],
  [ADDRESS],
);
export const popMemory = withOperands(
  (address) => `pop dword [${address}]`,
  (address: number) => [0x8f, 0x05, ...le32(address)],
  [ADDRESS],
);
export const incMemory = withOperands(
  (address) => `inc dword [${address}]`,
  (address: number) => [0xff, 0x05, ...le32(address)],
  [ADDRESS],
);
export const orMemory = withOperands(
  (address, bits) => `or dword [${address}], ${bits}`,
  (address: number, bits: number) => [0x81, 0x0d, ...le32(address), ...le32(bits)],
  [ADDRESS, VALUE],
);
export const cmpMemory = withOperands(
  (address, value) => `cmp dword [${address}], ${value}`,
  (address: number, value: number) => [0x81, 0x3d, ...le32(address), ...le32(value)],
  [ADDRESS, VALUE],
);
/** Takes bit 0 away, and leaves it in CF. */
export const btrMemory = withOperands(
  (address) => `btr dword [${address}], 0`,
  (address: number) => [0x0f, 0xba, 0x35, ...le32(address), 0],
  [ADDRESS],
);
/** Where CF is set, over so many bytes that follow. */
export const jcOver = withOperands(
  (length) => `jc short $ + 2 + ${length}`,
  (length: number) => [0x72, length],
  [10],
);
export const write8 = withOperands(
  (address, value) => `mov byte [${address}], ${value}`,
  (address: number, value: number) => [0xc6, 0x05, ...le32(address), value],
  [ADDRESS, 0x45],
);
export const read8 = withOperands(
  (address) => `mov al, [${address}]`,
  (address: number) => [0xa0, ...le32(address)],
  [ADDRESS],
);
export const int = withOperands(
  (vector) => `int ${vector}`,
  (vector: number) => [0xcd, vector],
  [0xe0],
);
/** To what begins so many bytes before it: at most 126. */
export const jmpBack = withOperands(
  (length) => `jmp short $ - ${length}`,
  (length: number) => [0xeb, 0x100 - 2 - length],
  [37],
);

/** In 64-bit mode: 32 bits. */
export const movAtRax = withOperands(
  (value) => `mov dword [rax], ${value}`,
  (value: number) => [0xc7, 0x00, ...le32(value)],
  [VALUE],
  'long64',
);
/** In 64-bit mode: 64 bits, of which the upper ones are the sign. */
export const movQwordAtRbx = withOperands(
  (offset, value) => `mov qword [rbx + ${offset}], ${value}`,
  (offset: number, value: number) => [0x48, 0xc7, 0x83, ...le32(offset), ...le32(value)],
  [0x310, VALUE],
  'long64',
);

/** In real mode, where DS begins at 0 and reaches over 4 GiB: 32 bits. */
export const write32Real16 = withOperands(
  (address, value) => `mov dword [dword ${address}], ${value}`,
  (address: number, value: number) => [0x66, 0x67, 0xc7, 0x05, ...le32(address), ...le32(value)],
  [ADDRESS, VALUE],
  'real16',
);

/** Of a handler of SMIs, which begins in 16-bit code and reaches 4 GiB: writes ICR2 = 0x77000000, leaves by port 0x12, and goes on. */
export const smmHandler = plainIn(
  'real16',
  `mov eax, 0x77000000
    mov ebx, 0xfee00310
    mov [ebx], eax
    out 0x12, al
    rsm`,
  ...[0x66, 0xb8, 0x00, 0x00, 0x00, 0x77],
  ...[0x66, 0xbb, 0x10, 0x03, 0xe0, 0xfe],
  ...[0x66, 0x67, 0x89, 0x03],
  ...[0xe6, 0x12],
  ...[0x0f, 0xaa],
);

/** `read32` where `write32Real16` is. */
export const read32Real16 = withOperands(
  (address) => `mov eax, [dword ${address}]`,
  (address: number) => [0x66, 0x67, 0xa1, ...le32(address)],
  [ADDRESS],
  'real16',
);

const inMsrs = ['eax', 'ecx', 'edx'] as const;

/** In real mode: 32 bits of a register that WRMSR takes. */
export const mov32Real16 = withOperands(
  (register, value) => `mov ${inMsrs[register]}, ${value}`,
  (register: 0 | 1 | 2, value: number) => [0x66, 0xb8 + register, ...le32(value)],
  [1, VALUE],
  'real16',
);

/** In 16-bit code as in any other. */
export function wrmsrReal16(index: number, value: bigint): Instruction[] {
  const low = Number(value & 0xffff_ffffn);
  return [mov32Real16(1, index), mov32Real16(0, low), mov32Real16(2, Number(value >> 32n)), wrmsr];
}
