/** Operands: registers, numbers, memory, far pointers. */
import type { Cursor } from './cursor.ts';
import { AsmError } from './error.ts';
import { parseExpression } from './parse-expression.ts';
import { findRegister, type Register } from './registers.ts';
import type { Bits, OperandSyntax, Qualifiers } from './syntax.ts';

/** Size keywords, in bytes. */
export const sizes = { byte: 1, word: 2, dword: 4, qword: 8, tword: 10, oword: 16 };
const sizeNames = Object.keys(sizes) as (keyof typeof sizes)[];
const displacementNames = ['byte', 'word', 'dword', 'qword'] as const;
const addressNames = ['a16', 'a32', 'a64'] as const;

export interface OperandContext {
  qualify(name: string): string;
  /** `default rel`. */
  readonly relative: boolean;
}

export function parseOperand(cursor: Cursor, context: OperandContext): OperandSyntax {
  const first = cursor.next.place;
  const operand = parse(cursor, context);
  return { ...operand, place: cursor.since(first) };
}

function parse(cursor: Cursor, context: OperandContext): OperandSyntax {
  const { place } = cursor.next;
  const qualifiers = parseQualifiers(cursor);
  if (cursor.atMark('[')) return { place, qualifiers, ...parseMemory(cursor, context) };
  refuseForeignMemory(cursor);
  const value = parseExpression(cursor, context.qualify);
  if (cursor.atMark('[')) throw refuseBrackets(cursor);
  if (!cursor.takeMark(':')) return { place, qualifiers, kind: 'plain', value };
  if (value.kind === 'register' && cursor.atMark('[')) throw refuseOutside(cursor, value.register.name);
  const inner = parseQualifiers(cursor);
  const offset = parseExpression(cursor, context.qualify);
  return { place, qualifiers: { ...qualifiers, ...inner }, kind: 'pointer', selector: value, offset };
}

function parseQualifiers(cursor: Cursor): Qualifiers {
  let found: Qualifiers = {};
  for (;;) {
    const size = cursor.takeKeyword(sizeNames);
    const distance = cursor.takeKeyword(['short', 'near', 'far']);
    const strict = cursor.takeKeyword(['strict']);
    // NASM reads `to` only before x87 operands; there it says what the operands say too.
    if (!size && !distance && !strict) return found;
    if (size && found.size !== undefined) throw cursor.unexpected('one size keyword', 'Remove one of them.');
    found = {
      ...found,
      ...(size && { size: sizes[size] }),
      ...(distance && { distance }),
      ...(strict && { strict: true }),
    };
  }
}

type MemorySyntax = Omit<Extract<OperandSyntax, { kind: 'memory' }>, 'place' | 'qualifiers'>;

function parseMemory(cursor: Cursor, context: OperandContext): MemorySyntax {
  cursor.expectMark('[', 'to begin a memory operand');
  let relative: boolean | undefined;
  let nosplit = false;
  let displacementSize: number | undefined;
  let addressSize: Bits | undefined;
  let segment: Register | undefined;
  for (;;) {
    const size = cursor.takeKeyword(displacementNames);
    const way = cursor.takeKeyword(['rel', 'abs', 'nosplit', ...addressNames]);
    if (size) displacementSize = sizes[size];
    else if (way === 'rel') relative = true;
    else if (way === 'abs') relative = false;
    else if (way === 'nosplit') nosplit = true;
    else if (way) addressSize = Number(way.slice(1)) as Bits;
    else if (!segment && cursor.second.text === ':' && isSegment(cursor)) {
      segment = findRegister(cursor.take().text)!;
      cursor.take();
    } else break;
  }
  const address = parseExpression(cursor, context.qualify);
  cursor.expectMark(']', 'to close the memory operand');
  return {
    kind: 'memory',
    address,
    // fs and gs have a base of their own: an offset from it is what is meant.
    relative: relative ?? (context.relative && !['fs', 'gs'].includes(segment?.name ?? '')),
    nosplit,
    ...(segment && { segment }),
    ...(displacementSize && { displacementSize }),
    ...(addressSize && { addressSize }),
  };
}

function isSegment(cursor: Cursor): boolean {
  return cursor.keyword !== undefined && findRegister(cursor.keyword)?.kind === 'segment';
}

/** What other assemblers write: `dword ptr [x]`, `offset x`. */
function refuseForeignMemory(cursor: Cursor): void {
  if (cursor.keyword === 'ptr')
    throw new AsmError(cursor.next.place, "'ptr' is not NASM's", 'Leave it out: dword [ebx], not dword ptr [ebx].');
  if (cursor.keyword === 'offset' && cursor.second.kind === 'name')
    throw new AsmError(cursor.next.place, "'offset' is not NASM's", 'Leave it out: a bare label is its address.');
}

function refuseBrackets(cursor: Cursor): AsmError {
  return cursor.unexpected('a comma', 'Write the whole address in the brackets: [label + ebx].');
}

function refuseOutside(cursor: Cursor, segment: string): AsmError {
  return cursor.unexpected('an offset', `Write the segment inside the brackets: [${segment}:...].`);
}
