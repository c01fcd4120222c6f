/** Memory operands: base, index, scale and displacement. */
import { AsmError, type Place } from './error.ts';
import type { Register } from './registers.ts';
import type { Bits, OperandSyntax } from './syntax.ts';
import type { Term, Value } from './value.ts';

/** A memory operand as the CPU has it. */
export interface Memory {
  readonly base: Register | undefined;
  readonly index: Register | undefined;
  readonly scale: number;
  readonly displacement: Value;
  /** In bytes: as small as can be, or 1, or the full size. */
  readonly displacementSize: 'fit' | 1 | 'full';
  readonly addressSize: Bits;
  readonly segment: Register | undefined;
  /** Relative to the next instruction. */
  readonly ripRelative: boolean;
  /** `[qword x]` without registers: the form with a 64-bit address in the instruction. */
  readonly wide: boolean;
}

type MemorySyntax = Extract<OperandSyntax, { kind: 'memory' }>;

/** Makes base, index and scale of the sum in the brackets, as NASM does. */
export function resolveMemory(syntax: MemorySyntax, value: Value, bits: Bits, prefixSize: Bits | undefined): Memory {
  const { place } = syntax;
  const sizeOf = { 1: undefined, 2: 16, 4: bits === 64 ? 64 : 32, 8: 64 } as const;
  const hinted = syntax.displacementSize === undefined ? undefined : sizeOf[syntax.displacementSize as 1 | 2 | 4 | 8];
  const registers = value.terms.map(({ register }) => register);
  const size = registers[0]?.size ?? syntax.addressSize ?? prefixSize ?? hinted ?? bits;
  for (const register of registers) checkRegister(register, size, place);
  if (size !== 16 && size !== 32 && size !== 64) throw refuseSize(place, size, bits);
  if ((size === 64) !== (bits === 64) && (size === 64 || (bits === 64 && size === 16)))
    throw refuseSize(place, size, bits);
  const common = {
    displacement: { ...value, terms: [] },
    displacementSize: forcedDisplacement(syntax, size),
    addressSize: size,
    segment: syntax.segment,
    ripRelative: false,
    wide: false,
  } as const;
  if (registers.length === 0) {
    const ripRelative = bits === 64 && syntax.relative;
    return {
      ...common,
      base: undefined,
      index: undefined,
      scale: 1,
      ripRelative,
      wide: size === 64 && syntax.displacementSize === 8 && !ripRelative,
    };
  }
  const said = syntax.addressSize ?? prefixSize ?? size;
  if (said !== size)
    throw new AsmError(place, `a${said} contradicts the ${size}-bit registers`, 'Leave it out: the registers say it.');
  return { ...common, ...(size === 16 ? combine16(value.terms, place) : combine(value.terms, syntax.nosplit, place)) };
}

function forcedDisplacement({ displacementSize }: MemorySyntax, size: Bits): Memory['displacementSize'] {
  if (displacementSize === 1) return 1;
  return displacementSize === undefined || (displacementSize === 8 && size !== 64) ? 'fit' : 'full';
}

interface Combination {
  readonly base: Register | undefined;
  readonly index: Register | undefined;
  readonly scale: number;
}

/** One of bx and bp, one of si and di. */
function combine16(terms: readonly Term[], place: Place): Combination {
  const pick = (names: readonly string[]) => terms.filter(({ register }) => names.includes(register.name));
  const bases = pick(['bx', 'bp']);
  const indexes = pick(['si', 'di']);
  const known = bases.length + indexes.length === terms.length && bases.length < 2 && indexes.length < 2;
  if (!known || terms.some(({ factor }) => factor !== 1n))
    throw new AsmError(
      place,
      'No 16-bit address is made of these registers',
      'There are bx or bp, plus si or di, plus a number.',
    );
  return { base: (bases[0] ?? indexes[0])!.register, index: bases[0] && indexes[0]?.register, scale: 1 };
}

function combine(terms: readonly Term[], nosplit: boolean, place: Place): Combination {
  const [first, second] = terms as [Term, Term | undefined];
  if (terms.length > 2)
    throw new AsmError(place, 'An address has two registers at most', 'Add them up with lea or add before.');
  if (!second) return combineOne(first, nosplit, place);
  // The first one is the base, unless it was written with a factor.
  let [base, index] =
    first.factor === 1n && !(first.scaled && second.factor === 1n) ? [first, second] : [second, first];
  if (base.factor !== 1n) throw refuseFactor(place);
  if (index.register.number === STACK_POINTER && index.factor === 1n) [base, index] = [index, base];
  return { base: base.register, ...indexed(index, index.factor, place) };
}

/** A single register: 3*eax is eax + 2*eax, which has a form; and 2*eax is shorter as eax + eax. */
function combineOne(term: Term, nosplit: boolean, place: Place): Combination {
  const { register, factor } = term;
  if (factor === 1n && !(nosplit && term.scaled && register.number !== STACK_POINTER))
    return { base: register, index: undefined, scale: 1 };
  if ((factor === 2n && !nosplit) || [3n, 5n, 9n].includes(factor))
    return { base: register, ...indexed(term, factor - 1n, place) };
  return { base: undefined, ...indexed(term, factor, place) };
}

const STACK_POINTER = 4;

function indexed({ register }: Term, factor: bigint, place: Place): { index: Register; scale: number } {
  if (![1n, 2n, 4n, 8n].includes(factor)) throw refuseFactor(place);
  if (register.number === STACK_POINTER)
    throw new AsmError(place, `${register.name} cannot be an index`, 'Use another register, or make it the base.');
  return { index: register, scale: Number(factor) };
}

function refuseFactor(place: Place): AsmError {
  return new AsmError(place, 'No address has these factors', 'One register as it is, and one times 1, 2, 4 or 8.');
}

function checkRegister(register: Register, size: number, place: Place): void {
  const { name, kind } = register;
  if (kind === 'ip')
    throw new AsmError(place, `${name} cannot be added`, 'Write [rel label] for an address relative to rip.');
  if (kind !== 'gpr' || register.size === 8)
    throw new AsmError(place, `${name} cannot be part of an address`, 'Use a 16-, 32- or 64-bit general register.');
  if (register.size !== size)
    throw new AsmError(place, 'The registers of an address differ in size', 'Use registers of one size.');
}

function refuseSize(place: Place, size: number, bits: Bits): AsmError {
  return new AsmError(
    place,
    `A ${size}-bit address is not possible in ${bits}-bit code`,
    'Use a register of another size.',
  );
}
