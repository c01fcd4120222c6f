/** From a parsed program to bytes: sizes are settled in passes, until no address moves any more. */
import { bytesOfData } from './data.ts';
import { encode, namedPrefixes } from './encode.ts';
import { AsmError } from './error.ts';
import { type Misfit, misfit } from './fits.ts';
import type { Form } from './form.ts';
import { type Candidate, candidates } from './match.ts';
import { type Operand, resolveOperands } from './operand.ts';
import type { Source } from './source.ts';
import type { Bits, Body, Expression, InstructionSyntax, Program, Statement } from './syntax.ts';
import { address, dependsOnPlace, evaluate, type Scope, type Value } from './value.ts';

/** One line of the text and the bytes it became. */
export interface AssembledLine {
  readonly address: bigint;
  readonly bytes: Uint8Array;
  /** From 1. */
  readonly line: number;
}

export interface Assembled {
  readonly origin: bigint;
  readonly bytes: Uint8Array;
  readonly labels: ReadonlyMap<string, bigint>;
  readonly lines: readonly AssembledLine[];
}

/** More is no test payload, but a slip in a `times`. */
const MAX_BYTES = 1 << 20;
/** A text whose sizes still change after so many rounds has no solution that more rounds would find. */
const MAX_PASSES = 60;
/** From here on a form that once did not fit is not tried again: sizes only grow, so the rounds end. */
const STUBBORN_PASS = 12;

const noBytes = new Uint8Array();

/** What `org` says; undefined if there is none. */
export function originOf(program: Program): bigint | undefined {
  if (!program.origin) return undefined;
  const unknown = { symbol: () => undefined, here: 0n, start: 0n, names: [] };
  const { number, terms } = evaluate(program.origin, unknown);
  if (number >= 0n && terms.length === 0) return number;
  throw new AsmError(program.origin.place, 'The origin is not an address', 'Write org and a number from 0 up.');
}

/** Assembles for code that lies at `origin`. Throws AsmError. */
export function assemble(program: Program, source: Source, origin: bigint): Assembled {
  return new Assembler(program, source, origin).run();
}

class Assembler {
  readonly #program: Program;
  readonly #source: Source;
  readonly #origin: bigint;
  readonly #symbols = new Map<string, Value>();
  readonly #rejected = new Map<InstructionSyntax, Set<Form>>();
  /** What an instruction became: in the next pass it is mostly the same. */
  readonly #encoded = new Map<InstructionSyntax, { key: string; at: bigint; moves: boolean; bytes: Uint8Array }>();
  /** The symbols that this pass changed. */
  readonly #restless = new Set<string>();
  #pass = 0;
  #changed = true;
  /** In the last pass a value that does not fit is an error. */
  #strict = false;
  /** The symbol that was not known when it was needed. */
  #unknown = false;

  constructor(program: Program, source: Source, origin: bigint) {
    this.#program = program;
    this.#source = source;
    this.#origin = origin;
  }

  run(): Assembled {
    do {
      if (this.#pass++ === MAX_PASSES) throw this.#unsettled();
      this.#changed = false;
      this.#unknown = false;
      this.#restless.clear();
      this.#layOut();
    } while (this.#changed || this.#unknown);
    this.#strict = true;
    const lines = this.#layOut();
    const bytes = new Uint8Array(lines.reduce((total, line) => total + line.bytes.length, 0));
    for (const line of lines) bytes.set(line.bytes, Number(line.address - this.#origin));
    const labels = new Map<string, bigint>();
    for (const statement of this.#program.statements)
      if (statement.label !== undefined && !isMacroLabel(statement.label) && statement.body?.kind !== 'equ')
        labels.set(statement.label, BigInt.asUintN(64, this.#symbols.get(statement.label)!.number));
    return { origin: this.#origin, bytes, labels, lines };
  }

  #layOut(): AssembledLine[] {
    const lines: AssembledLine[] = [];
    let at = this.#origin;
    for (const statement of this.#program.statements) {
      const { label, body } = statement;
      const scope = this.#scope(at);
      if (label !== undefined)
        this.#define(label, body?.kind === 'equ' ? this.#number(body.value, scope) : address(at));
      const bytes = this.#statement(statement, at, scope);
      lines.push({ address: at, bytes, line: statement.line });
      at += BigInt(bytes.length);
      if (at - this.#origin > MAX_BYTES) throw tooMuch(statement);
    }
    return lines;
  }

  #scope(here: bigint): Scope {
    const symbols = this.#program.symbols;
    return {
      here,
      start: this.#origin,
      names: symbols.keys(),
      symbol: (name) => {
        const found = this.#symbols.get(name);
        if (found) return found;
        if (!symbols.has(name)) return undefined;
        this.#unknown = true;
        return address(here, false);
      },
    };
  }

  #define(name: string, value: Value): void {
    const old = this.#symbols.get(name);
    const same = old && old.number === value.number && old.relative === value.relative && old.known === value.known;
    if (same) return;
    this.#changed = true;
    this.#restless.add(name);
    this.#symbols.set(name, value);
  }

  #number(expression: Expression, scope: Scope): Value {
    const value = evaluate(expression, scope);
    if (value.terms.length === 0) return value;
    throw new AsmError(expression.place, 'A register is not a number', 'Registers stand in operands only.');
  }

  /** A count that must be known and sensible; 0 until it is known. */
  #count(expression: Expression, scope: Scope): number {
    const value = this.#number(expression, scope);
    const { number, known } = value;
    if (!known) return 0;
    if (number < 0n && !this.#strict) return 0;
    if (number >= 0n && number <= MAX_BYTES) return Number(number);
    const reason = `The count is ${number}`;
    throw new AsmError(expression.place, reason, `Use a number from 0 to ${MAX_BYTES}.`, dependsOnPlace(value));
  }

  #statement(statement: Statement, at: bigint, scope: Scope): Uint8Array {
    const { body, times } = statement;
    if (!body) return noBytes;
    const count = times ? this.#count(times, scope) : 1;
    return this.#repeat(statement, body, count, at, scope);
  }

  #repeat(statement: Statement, body: Body, count: number, at: bigint, scope: Scope): Uint8Array {
    if (count === 0) return noBytes;
    const first = this.#body(statement, body, at, scope);
    if (count === 1) return first;
    if (first.length * count > MAX_BYTES) throw tooMuch(statement);
    if (!this.#moves(body)) return fillWith(first, first.length * count);
    const parts = [first];
    let end = at + BigInt(first.length);
    for (let index = 1; index < count; index++) {
      const part = this.#body(statement, body, end, scope);
      parts.push(part);
      end += BigInt(part.length);
      if (end - this.#origin > MAX_BYTES) throw tooMuch(statement);
    }
    return Uint8Array.from(parts.flatMap((part) => [...part]));
  }

  /** True if its bytes are not the same everywhere. */
  #moves(body: Body): boolean {
    return !['data', 'reserve'].includes(body.kind) && !(body.kind === 'instruction' && body.operands.length === 0);
  }

  #body(statement: Statement, body: Body, at: bigint, scope: Scope): Uint8Array {
    switch (body.kind) {
      case 'equ':
        return noBytes;
      case 'inlined': {
        const { bits } = this.#source.inlined[body.index]!;
        if (bits !== undefined && bits !== statement.bits)
          throw new AsmError(
            body.place,
            `This is ${bits}-bit code in ${statement.bits}-bit code`,
            `Write bits ${bits} before it.`,
          );
        return this.#source.inlined[body.index]!.at(at);
      }
      case 'data':
        return bytesOfData(body, this.#source, at, (value) => this.#number(value, scope), this.#strict);
      case 'reserve': {
        const bytes = this.#count(body.count, scope) * body.unit;
        if (bytes > MAX_BYTES) throw tooMuch(statement);
        return new Uint8Array(bytes);
      }
      case 'align': {
        const to = this.#count(body.to, scope);
        if (to < 1) throw new AsmError(body.to.place, 'Nothing can be aligned to 0', 'Write align 4, align 16, ...');
        const gap = Number((BigInt(to) - (at % BigInt(to))) % BigInt(to));
        if (gap === 0) return noBytes;
        const unit = this.#body(statement, body.fill, at, scope);
        return unit.length === 0 ? new Uint8Array(gap) : fillWith(unit, gap);
      }
      case 'instruction':
        return this.#instruction(statement, body, at, scope);
    }
  }

  #instruction({ bits }: Statement, syntax: InstructionSyntax, at: bigint, scope: Scope): Uint8Array {
    const operands = resolveOperands(syntax, bits, scope);
    const key = operands.map(keyOf).join();
    const before = this.#encoded.get(syntax);
    if (before && before.key === key && (!before.moves || before.at === at)) return before.bytes;
    const found = candidates(syntax, operands, bits);
    const chosen = this.#choose(syntax, found, at, bits);
    const { candidate } = chosen;
    const moves = candidate.operands.some((operand, index) => isDistance(candidate, operand, index));
    const bytes = this.#encode(syntax, candidate, at, bits, moves);
    if (bytes && chosen.fits) this.#encoded.set(syntax, { key, at, moves, bytes });
    return bytes ?? new Uint8Array(candidate.form.length);
  }

  /** The first form with room for the values; the last one, if there is none yet. */
  #choose(
    syntax: InstructionSyntax,
    found: readonly Candidate[],
    at: bigint,
    bits: Bits,
  ): { candidate: Candidate; fits: boolean } {
    const rejected = this.#rejected.get(syntax) ?? new Set();
    const last = found.at(-1)!;
    let why: Misfit | undefined;
    for (const candidate of found) {
      if (rejected.has(candidate.form) && candidate !== last) continue;
      const prefixes = namedPrefixes(candidate, syntax.prefixes, bits);
      why = misfit(candidate, { address: at, bits, prefixes });
      if (!why) return { candidate, fits: true };
      if (this.#pass >= STUBBORN_PASS) this.#rejected.set(syntax, rejected.add(candidate.form));
    }
    if (this.#strict) throw new AsmError(why!.operand.place, why!.reason, why!.advice, why!.addressDependent);
    return { candidate: last, fits: false };
  }

  /** undefined: it has no encoding, but its values may still change. */
  #encode(
    syntax: InstructionSyntax,
    candidate: Candidate,
    at: bigint,
    bits: Bits,
    moves: boolean,
  ): Uint8Array | undefined {
    try {
      return encode(candidate, syntax.prefixes, bits, at);
    } catch (error) {
      if (!this.#strict) return undefined;
      const reason = `There is no encoding for this: ${error instanceof Error ? error.message : String(error)}`;
      throw new AsmError(syntax.place, reason, 'Check registers, sizes and distances.', moves);
    }
  }

  #unsettled(): AsmError {
    const { statements, symbols } = this.#program;
    const label = statements.find((statement) => this.#restless.has(statement.label ?? ''))?.label;
    const place = symbols.get(label ?? '') ?? statements[0]!.place;
    return new AsmError(
      place,
      'The sizes and addresses do not settle',
      'A symbol depends on itself: break the circle.',
    );
  }
}

function fillWith(unit: Uint8Array, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += unit.length) bytes.set(unit.subarray(0, length - at), at);
  return bytes;
}

function tooMuch({ place }: Statement): AsmError {
  return new AsmError(place, `The code grows beyond ${MAX_BYTES} bytes`, 'Check the counts of times and resb.');
}

/** Encoded relative to where the instruction is. */
function isDistance({ form }: Candidate, operand: Operand, index: number): boolean {
  if (operand.kind === 'memory') return operand.memory.ripRelative;
  return operand.kind === 'immediate' && !form.kinds[form.explicit[index]!]!.startsWith('imm');
}

/** The same for operands that are encoded the same. */
function keyOf(operand: Operand): string {
  const number = ({ number, relative, known }: Value) => `${number}/${relative}/${known}`;
  switch (operand.kind) {
    case 'register':
      return operand.register.name;
    case 'immediate':
      return number(operand.value);
    case 'pointer':
      return `${number(operand.selector)}:${number(operand.offset)}`;
    case 'memory': {
      const { base, index, scale, displacement } = operand.memory;
      return `[${base?.name}+${index?.name}*${scale}+${number(displacement)}]`;
    }
  }
}

/** A label that a snippet made for itself. */
function isMacroLabel(name: string): boolean {
  return name.startsWith('..@');
}
