/** Values of expressions, which may depend on labels and on the load address. */
import { suggest } from '../../base/nearest.ts';
import { AsmError, type Place } from './error.ts';
import { adviseForeignSymbol } from './foreign.ts';
import { characterValue } from './number.ts';
import type { Register } from './registers.ts';
import type { Expression } from './syntax.ts';

/** A register in an address: `ebx*4`. */
export interface Term {
  readonly register: Register;
  readonly factor: bigint;
  /** Written with a `*`: wants to be the index. */
  readonly scaled: boolean;
}

/** What an expression is worth: a number, and for an address the registers added to it. */
export interface Value {
  /** 64 bits, signed. */
  readonly number: bigint;
  /** How many times the load address is in the number: 1 for a label, 0 for a constant or a difference of labels. */
  readonly relative: bigint;
  /** It depends on the load address in another way than by such a multiple: `label >> 16`. */
  readonly bent: boolean;
  /** False while a symbol behind this place has no address yet. */
  readonly known: boolean;
  /** In the order they were mentioned. */
  readonly terms: readonly Term[];
}

/** What names and `$` mean at some place. */
export interface Scope {
  /** undefined: there is no such symbol. */
  symbol(name: string): Value | undefined;
  readonly here: bigint;
  readonly start: bigint;
  /** For suggestions. */
  readonly names: Iterable<string>;
}

const nothing: readonly Term[] = [];

export function constant(number: bigint): Value {
  return { number: BigInt.asIntN(64, number), relative: 0n, bent: false, known: true, terms: nothing };
}

/** An address in the text. */
export function address(number: bigint, known = true): Value {
  return { number: BigInt.asIntN(64, number), relative: 1n, bent: false, known, terms: nothing };
}

/** True if the value is another one at another load address. */
export function dependsOnPlace({ relative, bent }: Value): boolean {
  return relative !== 0n || bent;
}

export function evaluate(expression: Expression, scope: Scope): Value {
  const { place } = expression;
  switch (expression.kind) {
    case 'number':
      return constant(expression.value);
    case 'string':
      if (expression.bytes.length <= 8) return constant(characterValue(expression.bytes));
      throw new AsmError(place, 'A character constant has at most 8 bytes', 'Use db for longer text.');
    case 'symbol': {
      const found = scope.symbol(expression.name);
      if (found) return found;
      const advice =
        adviseForeignSymbol(expression.name, place) ??
        suggest(expression.name, scope.names, 'Define it as a label or with equ, or interpolate a number.');
      throw new AsmError(place, `'${expression.name}' is not defined`, advice);
    }
    case 'here':
      return address(scope.here);
    case 'start':
      return address(scope.start);
    case 'register':
      return { ...constant(0n), terms: [{ register: expression.register, factor: 1n, scaled: false }] };
    case 'unary':
      return applyUnary(expression.operator, evaluate(expression.operand, scope), place);
    case 'binary':
      return applyBinary(
        expression.operator,
        evaluate(expression.left, scope),
        evaluate(expression.right, scope),
        place,
      );
  }
}

function applyUnary(operator: string, value: Value, place: Place): Value {
  if (operator === '+') return value;
  if (operator === '-') return scale(value, -1n, false);
  refuseRegisters(operator, value, place);
  const number = operator === '~' ? ~value.number : value.number === 0n ? 1n : 0n;
  return { ...constant(number), bent: dependsOnPlace(value), known: value.known };
}

function applyBinary(operator: string, left: Value, right: Value, place: Place): Value {
  if (operator === '+') return sum(left, right);
  if (operator === '-') return sum(left, scale(right, -1n, false));
  if (operator === '*' && left.terms.length > 0 && right.terms.length === 0) return scale(left, right.number, true);
  if (operator === '*' && right.terms.length > 0 && left.terms.length === 0) return scale(right, left.number, true);
  refuseRegisters(operator, left, place);
  refuseRegisters(operator, right, place);
  const known = left.known && right.known;
  const bent = dependsOnPlace(left) || dependsOnPlace(right);
  return { ...constant(known ? calculate(operator, left.number, right.number, place, bent) : 0n), bent, known };
}

function calculate(operator: string, left: bigint, right: bigint, place: Place, bent: boolean): bigint {
  const unsigned = (value: bigint) => BigInt.asUintN(64, value);
  const shift = unsigned(right);
  switch (operator) {
    case '*':
      return left * right;
    case '|':
      return left | right;
    case '^':
      return left ^ right;
    case '&':
      return left & right;
    case '<<':
      return shift >= 64n ? 0n : left << shift;
    case '>>':
      return shift >= 64n ? 0n : unsigned(left) >> shift;
  }
  if (right === 0n) throw new AsmError(place, 'Division by zero', 'Change the divisor.', bent);
  switch (operator) {
    case '/':
      return unsigned(left) / unsigned(right);
    case '%':
      return unsigned(left) % unsigned(right);
    case '//':
      return left / right;
    default:
      return left % right;
  }
}

function sum(left: Value, right: Value): Value {
  const terms = [...left.terms];
  for (const term of right.terms) {
    const index = terms.findIndex(({ register }) => register === term.register);
    if (index < 0) terms.push(term);
    else terms[index] = { ...terms[index]!, factor: terms[index]!.factor + term.factor };
  }
  return {
    number: BigInt.asIntN(64, left.number + right.number),
    relative: left.relative + right.relative,
    bent: left.bent || right.bent,
    known: left.known && right.known,
    terms: terms.filter(({ factor }) => factor !== 0n),
  };
}

function scale(value: Value, by: bigint, scaled: boolean): Value {
  return {
    number: BigInt.asIntN(64, value.number * by),
    relative: value.relative * by,
    bent: value.bent,
    known: value.known,
    terms: value.terms.map((term) => ({
      ...term,
      factor: BigInt.asIntN(64, term.factor * by),
      scaled: term.scaled || scaled,
    })),
  };
}

function refuseRegisters(operator: string, { terms }: Value, place: Place): void {
  if (terms.length === 0) return;
  throw new AsmError(
    place,
    `'${operator}' cannot be applied to the register ${terms[0]!.register.name}`,
    'In an address, registers can be added and multiplied by a constant.',
  );
}
