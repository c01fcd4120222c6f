/** Operands with their values. */
import { type Memory, resolveMemory } from './effective-address.ts';
import { AsmError, type Place } from './error.ts';
import { needsLongMode, type Register } from './registers.ts';
import type { Bits, InstructionSyntax, OperandSyntax, Qualifiers } from './syntax.ts';
import { evaluate, type Scope, type Value } from './value.ts';

/** An operand with its values. */
export type Operand = { readonly place: Place; readonly qualifiers: Qualifiers } & (
  | { readonly kind: 'register'; readonly register: Register }
  | { readonly kind: 'immediate'; readonly value: Value }
  | { readonly kind: 'pointer'; readonly selector: Value; readonly offset: Value }
  | { readonly kind: 'memory'; readonly memory: Memory }
);

/** Throws AsmError for a register that does not exist in this mode, and for an impossible address. */
export function resolveOperands({ operands, prefixes }: InstructionSyntax, bits: Bits, scope: Scope): Operand[] {
  const resolved = operands.map((operand) => {
    const found = resolve(operand, bits, prefixes.addressSize, scope);
    const inside = found.kind === 'memory' ? found.memory.segment : undefined;
    if (inside && prefixes.segment && prefixes.segment !== inside)
      throw new AsmError(operand.place, 'Two segments', `Leave out ${prefixes.segment.name} or ${inside.name}.`);
    return found;
  });
  refuseHighByte(resolved);
  return resolved;
}

/** With the prefix that the newer registers need, the numbers of ah, ch, dh and bh mean others. */
function refuseHighByte(operands: readonly Operand[]): void {
  const high = operands.find((operand) => operand.kind === 'register' && /^[a-d]h$/.test(operand.register.name));
  if (high?.kind !== 'register') return;
  const other = operands.flatMap(extended)[0];
  if (!other) return;
  throw new AsmError(
    high.place,
    `${high.register.name} cannot be used together with ${other.name}`,
    'Use another 8-bit register: al, bl, cl, dl or one of the newer ones.',
  );
}

/** The registers of an operand that need a REX prefix. */
function extended(operand: Operand): Register[] {
  if (operand.kind === 'register') return needsLongMode(operand.register) ? [operand.register] : [];
  if (operand.kind !== 'memory') return [];
  return [operand.memory.base, operand.memory.index]
    .filter((each) => each !== undefined)
    .filter(({ number }) => number >= 8);
}

function resolve(syntax: OperandSyntax, bits: Bits, addressSize: Bits | undefined, scope: Scope): Operand {
  const { place, qualifiers } = syntax;
  if (syntax.kind === 'memory') {
    const value = evaluate(syntax.address, scope);
    for (const { register } of value.terms) checkMode(register, bits, place);
    return { place, qualifiers, kind: 'memory', memory: resolveMemory(syntax, value, bits, addressSize) };
  }
  if (syntax.kind === 'pointer') {
    const selector = plain(evaluate(syntax.selector, scope), place);
    return { place, qualifiers, kind: 'pointer', selector, offset: plain(evaluate(syntax.offset, scope), place) };
  }
  if (syntax.value.kind === 'register') {
    const { register } = syntax.value;
    checkMode(register, bits, place);
    if (qualifiers.size !== undefined && qualifiers.size * 8 !== register.size && register.size !== 0)
      throw new AsmError(place, `${register.name} does not have this size`, 'Leave the size keyword out.');
    return { place, qualifiers, kind: 'register', register };
  }
  return { place, qualifiers, kind: 'immediate', value: plain(evaluate(syntax.value, scope), place) };
}

function plain(value: Value, place: Place): Value {
  if (value.terms.length === 0) return value;
  throw new AsmError(place, 'Registers can be added only in an address', 'Put it in brackets, or use lea or add.');
}

function checkMode(register: Register, bits: Bits, place: Place): void {
  if (register.kind === 'ip')
    throw new AsmError(place, `${register.name} is no operand`, 'Use a label, or [rel label].');
  if (bits === 64 || !needsLongMode(register)) return;
  throw new AsmError(
    place,
    `The register ${register.name} exists only in 64-bit code, and this is ${bits}-bit code`,
    'Use another register, or asm.long64 (bits 64).',
  );
}
