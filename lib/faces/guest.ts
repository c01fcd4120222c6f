/** `kvm-dsm/guest`: guest code and the modes that it starts in. */

export { vectorName } from '../abi/exceptions.ts';
export type { FileUrl } from '../base/node-shapes.ts';
export { AsmCode } from '../guest/asm/code.ts';
export { type DisassembledLine, type DisassembleOptions, disassemble } from '../guest/asm/disassemble.ts';
export { AsmError } from '../guest/asm/error.ts';
export { type AsmValue, type Assembler, asm } from '../guest/asm/index.ts';
export {
  cli,
  cpuid,
  flat32,
  hlt,
  type Instruction,
  in8,
  int3,
  lidt,
  mov32,
  nop,
  out8,
  out8Value,
  rdmsr,
  read32,
  spin,
  sti,
  store32,
  write16,
  write32,
  wrmsr,
} from '../guest/bytes.ts';
export { bytesAt, type GuestCode, type GuestMode } from '../guest/code.ts';
export { enterFlat32, type Flat32Entry } from '../guest/enter-flat32.ts';
export { enterLong64, type Long64Entry } from '../guest/enter-long64.ts';
export { enterReal16, type Real16Entry } from '../guest/enter-real16.ts';
export type { GuestTables, TableRegister } from '../guest/entry.ts';
export * from '../guest/errors.ts';
export type { GuestFault } from '../guest/fault.ts';
export { type GuestWord, guestPorts } from '../guest/protocol.ts';
export { type LabelNames, Snippet, type SnippetValue, snippet } from '../guest/snippet.ts';
export * from '../guest/snippets/index.ts';
