/** Which form of an instruction suits its operands. */
import { AsmError } from './error.ts';
import { type Form, formsOf, sizePrefixes } from './form.ts';
import { mismatch } from './mismatch.ts';
import type { Operand } from './operand.ts';
import { sizes } from './parse-operand.ts';
import { type Register, resized } from './registers.ts';
import type { Bits, InstructionSyntax, Prefixes } from './syntax.ts';

/** A form that suits the operands, if their values fit. */
export interface Candidate {
  readonly form: Form;
  /** In the form's order, one for each explicit operand. */
  readonly operands: readonly Operand[];
  /** `mov rax, 5` as `mov eax, 5`: only for a value from 0 to 2^32 - 1. */
  readonly narrowed: boolean;
}

/** Their register operand is 16 bits wide whatever its name says. */
const anyWidth = /^(Mov_Sreg_|Arpl_|Ltr_|Lldt_|Verr_|Verw_|Lmsw_)/;
/** Of their operands the last one is 16 bits wide whatever its name says. */
const anyWidthLast = /^(Lar_|Lsl_)/;
/** They fill the upper half of a 64-bit register with zeros: no REX.W needed. */
const zeroExtending = /^(Mov_r32m16_Sreg|Sldt_r32m16)$/;
/** NASM takes their register and memory operand in either order. */
const symmetric = /^(Xchg|Test)_/;
const NEAR_OR_FAR = /^(Call|Jmp)_/;

/**
 * The forms of an instruction that take these operands, the one that NASM would prefer first.
 *
 * @throws AsmError if there is none, or if memory operands of several sizes would do
 */
export function candidates(syntax: InstructionSyntax, operands: readonly Operand[], bits: Bits): Candidate[] {
  const forms = formsOf(syntax.mnemonic);
  const normal = supplement(syntax.mnemonic, operands);
  let found = forms.filter((form) => exists(form, bits)).flatMap((form) => fit(form, normal, syntax, bits));
  found = chooseSizes(found, syntax.prefixes, normal, bits);
  if (found.length === 0) throw mismatch(syntax, operands, forms, bits);
  refuseAmbiguity(syntax, found);
  const cost = ({ form, narrowed }: Candidate) =>
    form.length + sizePrefixes(form, bits) + detour(form, bits) - (narrowed ? 0.5 : 0) - preference(form, normal, bits);
  return found
    .map((candidate, order) => ({ candidate, order, cost: cost(candidate) }))
    .sort((a, b) => a.cost - b.cost || a.order - b.order)
    .map(({ candidate }) => candidate);
}

/** In 64-bit code Intel's CPUs ignore the prefix that would make an instruction pointer of 16 bits. */
function exists({ modes, name }: Form, bits: Bits): boolean {
  return modes.includes(bits) && !(bits === 64 && /^(?:J[a-z]+|Call)_(?:rm16|rel16|rel8_16)$/.test(name));
}

/** Operands that NASM lets a text leave out. */
function supplement(mnemonic: string, operands: readonly Operand[]): readonly Operand[] {
  const [first, second] = operands;
  if (mnemonic === 'imul' && operands.length === 2 && second!.kind === 'immediate' && first!.kind === 'register')
    return [first!, first!, second!];
  return operands;
}

/** Where nothing says how wide the operation is (`push 0x1234`), it is as wide as the mode has it, shorter or not. */
function detour({ operandSize }: Form, bits: Bits): number {
  return (operandSize === 16 && bits !== 16) || (operandSize === 32 && bits === 16) ? 10 : 0;
}

/** Where encodings have one length, the sign-extended byte comes first. */
function preference({ kinds, farPointer, operandSize }: Form, operands: readonly Operand[], bits: Bits): number {
  if (farPointer && bits === 64 && operandSize === 64) return 2; // NASM's choice for `jmp far [x]`
  return operands.length > 0 && kinds.some((kind) => kind.startsWith('imm8sex')) ? 0.25 : 0;
}

function fit(form: Form, operands: readonly Operand[], syntax: InstructionSyntax, bits: Bits): Candidate[] {
  const { name, explicit } = form;
  if (/^(Aam|Aad)_imm8$/.test(name) && operands.length === 0)
    return [{ form, operands: [ten(syntax)], narrowed: false }];
  const loop = loopOperands(form, operands, syntax.prefixes, bits);
  if (loop) operands = loop;
  if (operands.length !== explicit.length) return [];
  // In 64-bit code 90 is a nop, which leaves the upper half of rax alone.
  if (name === 'Xchg_r32_EAX' && bits === 64 && operands.every((each) => nameOf(each) === 'eax')) return [];
  const found: Candidate[] = [];
  for (const order of orders(name, operands)) {
    const narrowed = narrows(form, order, bits);
    const adapted = order.map((operand, index) => adapt(form, operand, index, narrowed));
    const fits = adapted.every((operand, index) =>
      suits(form, form.kinds[explicit[index]!]!, operand, syntax.prefixes, bits),
    );
    if (fits) found.push({ form, operands: adapted, narrowed });
  }
  return found;
}

function nameOf(operand: Operand): string | undefined {
  return operand.kind === 'register' ? operand.register.name : undefined;
}

/** `aam` divides by ten. */
function ten({ place }: InstructionSyntax): Operand {
  return {
    place,
    qualifiers: {},
    kind: 'immediate',
    value: { number: 10n, relative: 0n, bent: false, known: true, terms: [] },
  };
}

/** `loop label, cx`: the counter chooses the form. undefined: the form does not count. */
function loopOperands(
  form: Form,
  operands: readonly Operand[],
  { addressSize }: Prefixes,
  bits: Bits,
): readonly Operand[] | undefined {
  if (!form.name.startsWith('Loop')) return undefined;
  const counter = operands[1];
  const size = counter?.kind === 'register' ? counter.register.size : (addressSize ?? bits);
  const right =
    form.addressSize === size && (!counter || (counter.kind === 'register' && counter.register.number === 1));
  return right && operands.length > 0 ? operands.slice(0, 1) : [];
}

function orders(name: string, operands: readonly Operand[]): (readonly Operand[])[] {
  if (operands.length !== 2 || !symmetric.test(name) || operands.some(({ kind }) => kind === 'immediate'))
    return [operands];
  const swapped = [operands[1]!, operands[0]!];
  // NASM's xchg has its first register in the register field, its test in the other one.
  return name.startsWith('Xchg') ? [swapped, operands] : [operands, swapped];
}

function narrows({ name }: Form, [target, value]: readonly Operand[], bits: Bits): boolean {
  return (
    bits === 64 &&
    name === 'Mov_r32_imm32' &&
    target?.kind === 'register' &&
    target.register.kind === 'gpr' &&
    target.register.size === 64 &&
    value?.kind === 'immediate' &&
    value.qualifiers.size === undefined &&
    value.value.relative === 0n
  );
}

/** The operand with its register as the form writes it. */
function adapt(form: Form, operand: Operand, index: number, narrowed: boolean): Operand {
  if (operand.kind !== 'register' || operand.register.kind !== 'gpr' || operand.register.size === 8) return operand;
  const { name, operandSize } = form;
  const loose =
    anyWidth.test(name) ||
    (anyWidthLast.test(name) && index === 1) ||
    (operand.register.size === 64 && (zeroExtending.test(name) || (narrowed && index === 0)));
  return loose && operandSize !== 0 ? { ...operand, register: resized(operand.register, operandSize) } : operand;
}

function suits(form: Form, kind: string, operand: Operand, prefixes: Prefixes, bits: Bits): boolean {
  switch (operand.kind) {
    case 'register':
      return suitsRegister(kind, operand.register);
    case 'memory':
      return suitsMemory(form, kind, operand, bits);
    case 'pointer':
      return /^farbr\d_2$/.test(kind);
    case 'immediate':
      return suitsImmediate(form, kind, operand, prefixes.operandSize ?? bits);
  }
}

function suitsRegister(kind: string, { name, kind: is, size, number }: Register): boolean {
  const general = /^r(8|16|32|64)_(or_mem|reg|rm|opcode|reg_mem)$/.exec(kind);
  if (general) return is === 'gpr' && size === Number(general[1]);
  const other = /^(xmm|mm|seg|cr|dr|tr)_(or_mem|reg|rm)$/.exec(kind);
  if (other) return is === registerFiles[other[1]!];
  if (kind === 'sti_opcode') return is === 'st';
  return kind === name && (is !== 'st' || number === 0);
}

const registerFiles: Record<string, Register['kind']> = {
  ...{ xmm: 'xmm', mm: 'mm', seg: 'segment', cr: 'control', dr: 'debug', tr: 'test' },
};

function suitsMemory(form: Form, kind: string, operand: Extract<Operand, { kind: 'memory' }>, bits: Bits): boolean {
  const { memory, qualifiers } = operand;
  const direct = kind === 'mem_offs';
  if (direct) {
    if (memory.base || memory.index || memory.ripRelative) return false;
    if (bits === 64 && !memory.wide && memory.addressSize === 64) return false;
  } else if (kind !== 'mem' && !kind.endsWith('_or_mem')) return false;
  if (NEAR_OR_FAR.test(form.name) ? form.farPointer !== (qualifiers.distance === 'far') : qualifiers.distance)
    return false;
  if (qualifiers.size === undefined || form.memorySize === 0) return true;
  // `far dword` tells the size of the offset.
  return form.memorySize === qualifiers.size + (form.farPointer ? 2 : 0);
}

function suitsImmediate(
  form: Form,
  kind: string,
  { qualifiers, value }: Extract<Operand, { kind: 'immediate' }>,
  natural: Bits,
): boolean {
  const { size, strict, distance } = qualifiers;
  const branch = /^(?:br(\d+)|xbegin)_(\d)$/.exec(kind);
  if (branch) {
    const width = form.operandSize;
    const wanted = size === undefined ? natural : size * 8;
    const short = branch[2] === '1';
    if (distance === 'far' || (short ? distance === 'near' : distance === 'short')) return false;
    // A size keyword says how long the target is: NASM then takes the form with a full one.
    if (short && size !== undefined && /^J(?!.?cxz)/.test(form.name)) return false;
    return width === 0 || width === wanted;
  }
  if (!kind.startsWith('imm')) return false;
  if (distance !== undefined) return false;
  const width = Number(/^imm(\d+)/.exec(kind)![1]);
  if (kind === 'imm8_const_1') return value.known && value.relative === 0n && value.number === 1n && size === undefined;
  if (strict && size !== undefined && size * 8 !== width) return false;
  if (strict && size === undefined && kind.startsWith('imm8sex')) return false;
  if (size === undefined) return true;
  if (size * 8 === width) return true;
  // `push dword 5`: the byte is as wide as the operation once the CPU has extended it.
  const extended = Number(/sex(\d+)$/.exec(kind)?.[1] ?? 0);
  return !strict && (extended === size * 8 || (extended === 64 && size === 4));
}

/** What the size prefixes and the sizes of branches and far pointers leave. */
function chooseSizes(found: Candidate[], prefixes: Prefixes, operands: readonly Operand[], bits: Bits): Candidate[] {
  const { operandSize, addressSize } = prefixes;
  const far = operands[0]?.kind === 'pointer';
  const wide = far ? (operands[0]!.qualifiers.size ?? 0) * 8 : 0;
  const wanted = operandSize ?? (wide || undefined);
  let left = found;
  if (wanted !== undefined) {
    const sized = found.filter(({ form }) => form.operandSize === wanted || (wanted === 64 && /64_/.test(form.name)));
    if (sized.length > 0) left = sized;
    else if (wide || left.every(({ form }) => form.operandSize !== 0)) return [];
  } else {
    // `fxsave64` and the like have no operand size of their own.
    const plain = left.filter(({ form }) => !/^(Fxsave|Fxrstor|Xsave|Xrstor)64_/.test(form.name));
    if (plain.length > 0) left = plain;
  }
  left = sizeByImmediate(left);
  const fixed = left.filter(({ form }) => form.addressSize === (addressSize ?? bits));
  const sizeMatters = left.some(({ form }) => form.addressSize !== 0 && !/^J[er]?cxz_/.test(form.name));
  return sizeMatters && fixed.length > 0 ? fixed : left;
}

/** `mov [x], dword 5`: the number says how wide the memory operand is. */
function sizeByImmediate(found: Candidate[]): Candidate[] {
  const agreeing = found.filter(({ form, operands: [target, value] }) => {
    const size = value?.kind === 'immediate' ? value.qualifiers.size : undefined;
    return target?.kind === 'memory' && target.qualifiers.size === undefined && form.memorySize === size;
  });
  return agreeing.length > 0 && sizedByImmediate.test(agreeing[0]!.form.name) ? agreeing : found;
}

const sizedByImmediate = /^(Mov|Add|Or|Adc|Sbb|And|Sub|Xor|Cmp|Test)_/;

/** Instructions that take what the mode has if the memory operand's size is not written. */
const naturalSize = /^(Call|Jmp)_|^F(n?stenv|ldenv|n?save|rstor)_/;

function refuseAmbiguity({ prefixes }: InstructionSyntax, found: readonly Candidate[]): void {
  const sizes = new Set<number>();
  let operand: Operand | undefined;
  for (const { form, operands } of found) {
    const memory = operands.find(({ kind }) => kind === 'memory');
    if (!memory || memory.qualifiers.size !== undefined || naturalSize.test(form.name)) continue;
    operand = memory;
    sizes.add(form.memorySize);
  }
  if (!operand || sizes.size < 2 || prefixes.operandSize !== undefined) return;
  const names = [...sizes].sort((a, b) => a - b).flatMap((size) => sizeNames.get(size) ?? []);
  const list = names.length > 1 ? `${names.slice(0, -1).join(', ')} or ${names.at(-1)}` : 'a size';
  throw new AsmError(operand.place, 'Operand size not specified', `Write ${list} before the brackets.`);
}

const sizeNames = new Map(Object.entries(sizes).map(([name, size]) => [size, name]));
