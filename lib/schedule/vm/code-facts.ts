/**
 * What each step of one instruction touches, told by the instruction itself. What is not in the list of those that are known to
 * change registers and memory alone is not told: such a step depends on all others.
 */
import type { Instruction } from 'iced-x86';
import { APIC_DEFAULT_PHYS_BASE } from '../../abi/apic/lapic.ts';
import { kvmRegs } from '../../abi/kvm/index.ts';
import { RUN_SYNC_REGS_OFFSET } from '../../abi/kvm/kvm-run.ts';
import { iced } from '../../guest/asm/iced.ts';
import { bitsOf, type GuestMode } from '../../guest/code.ts';
import { guestPorts } from '../../guest/protocol.ts';
import { STEP_PORT } from '../../guest/step-port.ts';
import type { Touched } from '../footprint.ts';

/** A program where it lies. */
export interface PlacedCode {
  readonly mode: GuestMode;
  readonly bytes: Uint8Array;
  readonly origin: number;
  /** Memory from here on is the program's alone: a write before it may change code, a stack or a table. */
  readonly free: number;
  /** Guest physical addresses from here on are no memory. */
  readonly memoryEnd: number;
}

/** A step of one instruction. */
export interface StepFacts {
  /** Schedule points that it can come to. */
  readonly next: readonly number[];
  /** What it touches, with these registers; `null` if that is neither memory nor the local APIC. */
  touches(run: DataView): { memory: readonly Touched[]; apic: boolean } | null;
}

/** They change general registers, flags and their memory operand, and do nothing else. */
const plain: ReadonlySet<string> = new Set(
  `Mov Movzx Movsx Lea Add Adc Sub Sbb And Or Xor Not Neg Inc Dec Cmp Test Xchg Xadd Cmpxchg Bt Bts Btr Btc Shl Shr Sar Rol Ror
  Imul Nop Pause Jmp Loop Ja Jae Jb Jbe Je Jne Jg Jge Jl Jle Js Jns Jo Jno Jp Jnp Seta Setae Setb Setbe Sete Setne Cmovae Cmovb
  Cmove Cmovne Cmova Cmovbe Mfence Lfence Sfence`.split(/\s+/),
);
const APIC_PAGE = 0x1000;
/** `out STEP_PORT, al`. */
const POINT = [0xe6, STEP_PORT] as const;
/** `out guestPorts.done, eax`. */
const DONE = [0xe7, guestPorts.done] as const;

/** What is known of the steps of a program, by the address of the schedule point before each. */
export function codeFacts({ mode, bytes, origin, ...space }: PlacedCode): ReadonlyMap<number, StepFacts> {
  const facts = new Map<number, StepFacts>();
  if (mode === 'real16') return facts;
  const { Decoder, DecoderOptions } = iced();
  const decoder = new Decoder(bitsOf(mode), bytes, DecoderOptions.None);
  const begins = (address: number, code: readonly number[]) =>
    code.every((byte, index) => bytes[address - origin + index] === byte);
  const isPoint = (address: number) => begins(address, POINT);
  const isEnd = (address: number) => isPoint(address) || begins(address, DONE);
  decoder.ip = BigInt(origin);
  let isStep = false;
  let all = true;
  while (decoder.canDecode) {
    const begin = Number(decoder.ip);
    const instruction = decoder.decode();
    if (isStep) {
      const known = factsOf(instruction, isEnd, space);
      if (known) facts.set(begin - POINT.length, known);
    }
    all &&= !changesSegments(instruction);
    isStep = isPoint(begin);
    instruction.free();
  }
  decoder.free();
  // An address is a guest physical one for as long as all segments are flat.
  return all ? facts : new Map();
}

/** Where memory is. */
type Space = Pick<PlacedCode, 'free' | 'memoryEnd'>;

function factsOf(instruction: Instruction, isEnd: (address: number) => boolean, space: Space): StepFacts | null {
  const { Mnemonic, FlowControl, Register, OpKind } = iced();
  if (!plain.has(Mnemonic[instruction.mnemonic]!) || instruction.hasRepPrefix || instruction.hasRepnePrefix)
    return null;
  for (let at = 0; at < instruction.opCount; at++) {
    if (instruction.opKind(at) !== OpKind.Register) continue;
    const name = Register[instruction.opRegister(at)]!;
    if (!generalRegister(name) || isStackPointer(name)) return null;
  }
  const { flowControl } = instruction;
  const next: number[] = [];
  if (flowControl !== FlowControl.UnconditionalBranch) next.push(Number(instruction.nextIP));
  if (flowControl === FlowControl.UnconditionalBranch || flowControl === FlowControl.ConditionalBranch)
    next.push(Number(instruction.nearBranchTarget));
  else if (flowControl !== FlowControl.Next) return null;
  if (!next.every(isEnd)) return null;
  const operands = memoryOf(instruction);
  return operands && { next, touches: (run) => touched(operands, run, space) };
}

/** base + index * scale + displacement; registers by their offset in struct kvm_regs. */
interface MemoryOperand {
  readonly base: number | null;
  readonly index: number | null;
  readonly scale: number;
  readonly displacement: bigint;
  readonly is64: boolean;
  readonly size: number;
  readonly writes: boolean;
}

function memoryOf(instruction: Instruction): MemoryOperand[] | null {
  const { InstructionInfoFactory, MemorySizeExt, OpAccess, Register } = iced();
  const factory = new InstructionInfoFactory();
  const info = factory.info(instruction);
  const operands: (MemoryOperand | null)[] = info.usedMemory().map((used) => {
    const { base, index, scale, displacement, access, memorySize, segment } = used;
    used.free();
    const registers = [base, index].map((register) =>
      register === Register.None ? null : (offsetOf(Register[register]!) ?? Number.NaN),
    );
    const size = MemorySizeExt.size(memorySize);
    const isOdd = registers.some(Number.isNaN) || size === 0 || segment === Register.FS || segment === Register.GS;
    if (isOdd) return null;
    const is64 = [base, index].some((register) => Register[register]!.startsWith('R'));
    const writes = access !== OpAccess.Read && access !== OpAccess.CondRead;
    return { base: registers[0]!, index: registers[1]!, scale, displacement, is64, size, writes };
  });
  info.free();
  factory.free();
  return operands.every((one) => one !== null) ? operands : null;
}

function touched(operands: readonly MemoryOperand[], run: DataView, { free, memoryEnd }: Space) {
  const memory: Touched[] = [];
  let apic = false;
  for (const { base, index, scale, displacement, is64, size, writes } of operands) {
    const value = (offset: number | null) =>
      offset === null ? 0n : run.getBigUint64(RUN_SYNC_REGS_OFFSET + offset, true);
    const from = Number(BigInt.asUintN(is64 ? 64 : 32, value(base) + value(index) * BigInt(scale) + displacement));
    const to = from + size;
    if (from >= APIC_DEFAULT_PHYS_BASE && to <= APIC_DEFAULT_PHYS_BASE + APIC_PAGE) apic = true;
    else if (to > memoryEnd || (writes && from < free)) return null;
    else memory.push({ from, to, writes });
  }
  return { memory, apic };
}

const offsets: ReadonlyMap<string, number> = new Map(
  Object.entries(kvmRegs.fields).flatMap(([name, { offset }]) => {
    const wide = name.toUpperCase();
    return wide.startsWith('R') && name !== 'rip' && name !== 'rflags'
      ? [
          [wide, offset],
          [wide.replace(/^R([A-Z])/, 'E$1').replace(/^(R\d+)$/, '$1D'), offset],
        ]
      : [];
  }),
);
const offsetOf = (register: string) => offsets.get(register);

const generalRegister = (name: string) => /^([ER]?([A-D]X|[SD]I|[SB]P)|[A-D][LH]|[SD]IL|[SB]PL|R\d+[DWL]?)$/.test(name);
const isStackPointer = (name: string) => /^[ER]?SPL?$/.test(name);

/** Of a program that loads one, or a table of them, no address is known. */
function changesSegments(instruction: Instruction): boolean {
  const { Mnemonic, Register, OpKind } = iced();
  if (/^(Lgdt|Lldt|Lds|Les|Lss|Lfs|Lgs|Retf)$/.test(Mnemonic[instruction.mnemonic]!)) return true;
  return (
    instruction.opCount > 0 &&
    instruction.opKind(0) === OpKind.Register &&
    /^([CDEFGS]S|CR\d)$/.test(Register[instruction.opRegister(0)]!) &&
    Mnemonic[instruction.mnemonic] !== 'Push'
  );
}
