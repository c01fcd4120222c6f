/** The forms of instructions, as iced-x86's tables have them. */
import { iced } from './iced.ts';
import { codesOf } from './names.ts';
import type { Bits } from './syntax.ts';

/** One encoding of an instruction, from the tables. */
export interface Form {
  readonly code: number;
  /** The table's name, such as `Add_rm32_imm8`. */
  readonly name: string;
  /** As manuals write it: `ADD r/m32, imm8`. */
  readonly text: string;
  /** The kinds of all operands, by the names in the tables. */
  readonly kinds: readonly string[];
  /** Which of them a text has; the others, as a string instruction's, go without saying. */
  readonly explicit: readonly number[];
  /** 16, 32, 64, or 0: it does not matter. */
  readonly operandSize: number;
  readonly addressSize: number;
  /** Bytes that a memory operand has; 0: it does not matter. */
  readonly memorySize: number;
  /** Its memory operand is a segment and an offset. */
  readonly farPointer: boolean;
  readonly modes: readonly Bits[];
  /** Bytes, the displacement apart, if nothing but the form decides. */
  readonly length: number;
  /** Needs no REX.W for 64 bits. */
  readonly default64: boolean;
  /** A prefix byte that belongs to the opcode. */
  readonly mandatoryPrefix: number;
}

const known = new Map<string, readonly Form[]>();

/** Every form of an instruction, in the tables' order. */
export function formsOf(mnemonic: string): readonly Form[] {
  let forms = known.get(mnemonic);
  if (!forms) {
    forms = codesOf(mnemonic).map(readForm);
    known.set(mnemonic, forms);
  }
  return forms;
}

const implied = /^(es_rDI|seg_rSI|seg_rDI|seg_rBX_al)$/;
const fixed = /^(al|ax|eax|rax|dx)$/;

function readForm(code: number): Form {
  const { CodeExt, Code, OpCodeOperandKind, MemorySize, MemorySizeExt, MandatoryPrefix } = iced();
  const info = CodeExt.opCode(code);
  const kinds = Array.from({ length: info.opCount }, (_, index) => OpCodeOperandKind[info.opKind(index)]!);
  const strings = kinds.some((kind) => /^(es_rDI|seg_rSI)$/.test(kind));
  const explicit = kinds.flatMap((kind, index) => (implied.test(kind) || (strings && fixed.test(kind)) ? [] : [index]));
  const prefix = info.mandatoryPrefix;
  const mandatoryPrefix =
    prefix === MandatoryPrefix.P66
      ? 0x66
      : prefix === MandatoryPrefix.PF3
        ? 0xf3
        : prefix === MandatoryPrefix.PF2
          ? 0xf2
          : 0;
  const modes = ([16, 32, 64] as const).filter((bits) => info[`mode${bits}`]);
  const form: Form = {
    code,
    name: Code[code]!,
    text: info.instructionString,
    kinds,
    explicit,
    operandSize: info.operandSize,
    addressSize: info.addressSize,
    memorySize: MemorySizeExt.size(info.memorySize),
    farPointer: MemorySize[info.memorySize]!.startsWith('SegPtr'),
    modes,
    length: (mandatoryPrefix ? 1 : 0) + info.opCodeLength + [0, 1, 2, 2][Math.min(info.table, 3)]! + bodyLength(kinds),
    default64: info.defaultOpSize64 || info.forceOpSize64,
    mandatoryPrefix,
  };
  info.free();
  return form;
}

/** Bytes behind the opcode, as far as they are the same for each use. */
function bodyLength(kinds: readonly string[]): number {
  const modrm = kinds.some((kind) => /_or_mem$|_reg$|_rm$|_reg_mem$|^mem$|^(seg|cr|dr|tr)_reg$/.test(kind));
  const immediates = kinds.map(immediateLength).reduce((total, length) => total + length, 0);
  return (modrm ? 1 : 0) + immediates;
}

function immediateLength(kind: string): number {
  if (kind === 'imm8_const_1') return 0;
  const branch = /^(?:br\d+|xbegin)_(\d)$/.exec(kind);
  if (branch) return Number(branch[1]);
  const far = /^farbr(\d)_2$/.exec(kind);
  if (far) return Number(far[1]) + 2;
  const width = /^imm(\d+)/.exec(kind);
  return width ? Number(width[1]) / 8 : 0;
}

/** Bytes of prefixes that the sizes need in code of this kind. */
export function sizePrefixes({ operandSize, addressSize, default64 }: Form, bits: Bits): number {
  const natural = bits === 16 ? 16 : 32;
  const operand = operandSize === 64 ? (default64 ? 0 : 1) : operandSize !== 0 && operandSize !== natural ? 1 : 0;
  return operand + (addressSize !== 0 && addressSize !== bits ? 1 : 0);
}
