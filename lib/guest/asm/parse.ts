/** A text to statements. */
import { nearest } from '../../base/nearest.ts';
import { Cursor } from './cursor.ts';
import { AsmError, type Place } from './error.ts';
import { foreignLine } from './foreign.ts';
import { type Token, tokenise } from './lexer.ts';
import { codesOf, isVector, mnemonics } from './names.ts';
import { parseExpression } from './parse-expression.ts';
import { parseOperand } from './parse-operand.ts';
import { findRegister, type Register } from './registers.ts';
import type { Source } from './source.ts';
import type { Bits, Body, DataItem, Expression, OperandSyntax, Prefixes, Program, Statement } from './syntax.ts';

const dataUnits: Record<string, number> = { db: 1, dw: 2, dd: 4, dq: 8 };
const reserveUnits: Record<string, number> = { resb: 1, resw: 2, resd: 4, resq: 8 };
const repeats = { rep: 'rep', repe: 'repe', repz: 'repe', repne: 'repne', repnz: 'repne' } as const;
const directives = ['bits', 'use16', 'use32', 'use64', 'org', 'default', 'align', 'alignb', 'times', 'equ'];
/** What NASM has and this has not, and what to do instead. */
const foreign: Record<string, string> = {
  section: 'Leave it out: there is one section, and it lies where it is loaded.',
  segment: 'Leave it out: there is one section, and it lies where it is loaded.',
  global: 'Leave it out: every label can be read from the code object.',
  extern: 'Interpolate the address.',
  incbin: 'Interpolate the bytes, on a line of their own.',
  struc: 'Define the offsets with equ.',
  istruc: 'Write the data with db, dw, dd and dq.',
  endstruc: 'Define the offsets with equ.',
  common: 'Write the data with resb, resw, resd or resq.',
  absolute: 'Define the offsets with equ.',
  cpu: 'Leave it out: every instruction is allowed.',
};
const MAX_OPERANDS = 5;

/** Reads a text into statements. Throws AsmError. */
export function parse(source: Source, bits: Bits): Program {
  return new Parser(source, bits).program();
}

class Parser {
  readonly #source: Source;
  readonly #statements: Statement[] = [];
  readonly #symbols = new Map<string, Place>();
  #bits: Bits;
  #origin: Expression | undefined;
  /** The label that local labels belong to. */
  #parent = '';
  #relative = false;

  constructor(source: Source, bits: Bits) {
    this.#source = source;
    this.#bits = bits;
  }

  program(): Program {
    for (let line = 1; line <= this.#source.lines.length; line++) this.#read(line);
    const origin = this.#origin;
    return { statements: this.#statements, symbols: this.#symbols, ...(origin && { origin }) };
  }

  #read(line: number): void {
    try {
      this.#line(line);
    } catch (error) {
      // Asked only of a line that cannot be read: what is right is never refused for its looks.
      throw error instanceof AsmError ? (foreignLine(this.#source, line) ?? error) : error;
    }
  }

  #line(line: number): void {
    const cursor = new Cursor(tokenise(this.#source, line));
    if (cursor.atEnd) return;
    if (cursor.atMark('[') && this.#bracketed(cursor)) return;
    const label = this.#label(cursor);
    const { place } = cursor.next;
    if (!label && this.#directive(cursor)) return;
    const times = cursor.takeKeyword(['times']) && this.#expression(cursor);
    const body = cursor.atEnd ? undefined : this.#body(cursor);
    if (times && !body) throw cursor.unexpected('something to repeat', 'Write it behind the count: times 4 nop.');
    if (body?.kind === 'equ' && (!label || times))
      throw new AsmError(place, 'equ needs a name before it, and no times', 'Write: name equ value.');
    this.#end(cursor);
    this.#statements.push({
      line,
      place,
      bits: this.#bits,
      ...(label && { label }),
      ...(times && { times }),
      ...(body && { body }),
    });
  }

  #end(cursor: Cursor): void {
    if (!cursor.atEnd) throw cursor.unexpected('the end of the line');
  }

  #expression(cursor: Cursor): Expression {
    return parseExpression(cursor, this.#qualify);
  }

  /** A symbol's full name. */
  readonly #qualify = (name: string): string => (/^\.[^.]/.test(name) ? this.#parent + name : name);

  /** `name:`, or `name` before data. */
  #label(cursor: Cursor): string | undefined {
    const { next, second } = cursor;
    if (next.kind !== 'name') return undefined;
    const colon = second.kind === 'mark' && second.text === ':';
    if (!colon && !(isDataWord(second) && (next.escaped || !isReserved(next.text)))) return undefined;
    // `es: movsb` would be a label for a register's name.
    if (!next.escaped && isReserved(next.text)) throw refuseLabel(next);
    cursor.take();
    if (colon) cursor.take();
    return this.#define(next, cursor.keyword === 'equ');
  }

  #define({ text, place }: Token, isConstant: boolean): string {
    const name = this.#qualify(text);
    const other = this.#symbols.get(name);
    if (other)
      throw new AsmError(
        place,
        `'${name}' is defined twice`,
        `It is on line ${other.line} already: choose another name.`,
      );
    this.#symbols.set(name, place);
    if (!isConstant && !text.startsWith('.')) this.#parent = name;
    return name;
  }

  /** `[bits 32]` and the like. */
  #bracketed(cursor: Cursor): boolean {
    cursor.take();
    if (!this.#directive(cursor))
      throw cursor.unexpected('bits, org or default', 'A line cannot begin with an operand.');
    return true;
  }

  #directive(cursor: Cursor): boolean {
    const { keyword } = cursor;
    const { place } = cursor.next;
    const bracketed = cursor.next.place.column > 1 && place.source.trimStart().startsWith('[');
    switch (keyword) {
      case 'bits':
        cursor.take();
        this.#setBits(cursor.take());
        break;
      case 'use16':
      case 'use32':
      case 'use64':
        cursor.take();
        this.#bits = Number(keyword.slice(3)) as Bits;
        break;
      case 'default': {
        cursor.take();
        const way = cursor.takeKeyword(['rel', 'abs']);
        if (!way) throw cursor.unexpected("'rel' or 'abs'", 'Write: default rel.');
        this.#relative = way === 'rel';
        break;
      }
      case 'org':
        cursor.take();
        if (this.#origin)
          throw new AsmError(place, 'A second org', 'There is one origin: use times or align to move on.');
        this.#origin = this.#expression(cursor);
        break;
      default:
        if (keyword !== undefined && Object.hasOwn(foreign, keyword))
          throw new AsmError(place, `'${keyword}' is not supported`, foreign[keyword]!);
        return false;
    }
    if (bracketed) cursor.expectMark(']', 'to close the directive');
    this.#end(cursor);
    return true;
  }

  #setBits({ value, kind, place }: Token): void {
    const bits = kind === 'number' ? Number(value) : 0;
    if (bits !== 16 && bits !== 32 && bits !== 64)
      throw new AsmError(place, `'${place.text}' is no kind of code`, 'Write bits 16, bits 32 or bits 64.');
    this.#bits = bits;
  }

  #body(cursor: Cursor): Body {
    const { next, keyword } = cursor;
    if (next.kind === 'inlined') return { kind: 'inlined', index: cursor.take().index, place: next.place };
    if (next.kind !== 'name') throw cursor.unexpected('an instruction');
    if (keyword !== undefined) {
      if (Object.hasOwn(dataUnits, keyword)) return this.#data(cursor, dataUnits[keyword]!);
      if (Object.hasOwn(reserveUnits, keyword)) {
        cursor.take();
        return { kind: 'reserve', unit: reserveUnits[keyword]!, count: this.#expression(cursor) };
      }
      if (keyword === 'align' || keyword === 'alignb') return this.#align(cursor, keyword);
      if (keyword === 'equ') {
        cursor.take();
        return { kind: 'equ', value: this.#expression(cursor) };
      }
    }
    return this.#instruction(cursor);
  }

  #data(cursor: Cursor, unit: number): Body {
    cursor.take();
    const items: DataItem[] = [];
    do {
      const { place, kind, index } = cursor.next;
      if (kind !== 'inlined') items.push({ kind: 'value', place, value: this.#expression(cursor) });
      else if (unit === 1) items.push({ kind, place, index: cursor.take() && index });
      else throw cursor.unexpected('a number', 'Bytes can stand behind db, or on a line of their own.');
    } while (cursor.takeMark(','));
    return { kind: 'data', unit, items };
  }

  #align(cursor: Cursor, keyword: 'align' | 'alignb'): Body {
    const { place } = cursor.take();
    const to = this.#expression(cursor);
    const zero = { kind: 'number', place, value: 0n } as const;
    let fill: Body =
      keyword === 'align'
        ? { kind: 'instruction', mnemonic: 'nop', place, prefixes: {}, operands: [] }
        : { kind: 'data', unit: 1, items: [{ kind: 'value', place, value: zero }] };
    if (cursor.takeMark(',')) fill = this.#body(cursor);
    if (fill.kind === 'align' || fill.kind === 'equ')
      throw new AsmError(place, `${fill.kind} cannot fill a gap`, 'Write: align 16, db 0.');
    return { kind: 'align', to, fill };
  }

  #instruction(cursor: Cursor): Body {
    const { place } = cursor.next;
    const prefixes = this.#prefixes(cursor);
    const bare = Object.keys(prefixes).length > 0 && cursor.atEnd;
    if (bare) throw cursor.unexpected('an instruction behind the prefix', 'Write both on one line: rep movsb.');
    const { keyword, next } = cursor;
    if (keyword === undefined || codesOf(keyword).length === 0) throw refuseMnemonic(next);
    cursor.take();
    const operands: OperandSyntax[] = [];
    if (!cursor.atEnd) {
      do {
        operands.push(parseOperand(cursor, { qualify: this.#qualify, relative: this.#relative }));
        if (operands.length > MAX_OPERANDS) throw cursor.unexpected('fewer operands', 'No instruction has so many.');
      } while (cursor.takeMark(','));
    }
    return { kind: 'instruction', mnemonic: keyword, place: prefixes ? next.place : place, prefixes, operands };
  }

  #prefixes(cursor: Cursor): Prefixes {
    const found: { -readonly [K in keyof Prefixes]: Prefixes[K] } = {};
    const add = <K extends keyof Prefixes>(key: K, value: Prefixes[K]) => {
      if (found[key] !== undefined)
        throw new AsmError(cursor.next.place, 'Two prefixes of one kind', 'Leave one of them out.');
      found[key] = value;
      cursor.take();
    };
    for (;;) {
      const { keyword } = cursor;
      if (keyword === undefined) return found;
      const sized = /^([oa])(16|32|64)$/.exec(keyword);
      const segment: Register | undefined = findRegister(keyword);
      if (Object.hasOwn(repeats, keyword)) add('repeat', repeats[keyword as keyof typeof repeats]);
      else if (keyword === 'lock') add('lock', true);
      else if (sized) add(sized[1] === 'o' ? 'operandSize' : 'addressSize', Number(sized[2]) as Bits);
      else if (segment?.kind === 'segment') add('segment', segment);
      else return found;
    }
  }
}

function isDataWord({ kind, text, escaped }: Token): boolean {
  const word = text.toLowerCase();
  if (kind !== 'name' || escaped) return false;
  return ['equ', 'times'].includes(word) || Object.hasOwn(dataUnits, word) || Object.hasOwn(reserveUnits, word);
}

/** A word that has a meaning of its own, so that it cannot be a label. */
function isReserved(text: string): boolean {
  const word = text.toLowerCase();
  if (Object.hasOwn(dataUnits, word) || Object.hasOwn(reserveUnits, word) || Object.hasOwn(repeats, word)) return true;
  if (directives.includes(word) || word === 'lock' || /^[oa](16|32|64)$/.test(word)) return true;
  return findRegister(word) !== undefined || codesOf(word).length > 0;
}

function refuseLabel({ text, place }: Token): AsmError {
  const what = findRegister(text)
    ? 'a register'
    : codesOf(text.toLowerCase()).length > 0
      ? 'an instruction'
      : 'a keyword';
  return new AsmError(
    place,
    `'${text}' is ${what}, and cannot be a label`,
    `Use another name, such as .${text} or ${text}_.`,
  );
}

function refuseMnemonic(token: Token): AsmError {
  const { text, place, kind } = token;
  if (kind !== 'name')
    return new AsmError(place, `'${place.text}' is no instruction`, 'Write an instruction behind the prefix.');
  if (isVector(text.toLowerCase()))
    return new AsmError(
      place,
      `'${text}' needs a VEX or EVEX prefix, which is not written here`,
      'Interpolate its bytes, on a line of their own.',
    );
  const words = [...mnemonics(), ...directives, ...Object.keys(dataUnits), ...Object.keys(reserveUnits), 'rep', 'lock'];
  const near = nearest(text, words);
  const register = findRegister(text);
  const reason = register ? `'${text}' is a register, not an instruction` : `There is no instruction '${text}'`;
  const label = `If it is a label, write ${text}:`;
  return new AsmError(
    place,
    reason,
    register ? 'Write an instruction before it.' : near ? `Did you mean ${near}? ${label}` : label,
  );
}
