/** Expressions of numbers and symbols. */
import type { Cursor } from './cursor.ts';
import { AsmError } from './error.ts';
import type { Token } from './lexer.ts';
import { findRegister } from './registers.ts';
import type { Expression } from './syntax.ts';

/** The operators from the weakest to the strongest. */
const levels = [['|'], ['^'], ['&'], ['<<', '>>'], ['+', '-'], ['*', '/', '%', '//', '%%']] as const;
/** Deeper nesting is no expression that somebody wrote, and would overflow the stack. */
const MAX_DEPTH = 200;

/**
 * @param qualify a symbol's full name: `.loop` belongs to the label before it
 */
export function parseExpression(cursor: Cursor, qualify: (name: string) => string): Expression {
  let depth = 0;
  return binary(0);

  function binary(level: number): Expression {
    const operators: readonly string[] | undefined = levels[level];
    if (!operators) return unary();
    let left = binary(level + 1);
    let chain = 0;
    while (cursor.next.kind === 'mark' && operators.includes(cursor.next.text)) {
      // A chain nests to the left: it is walked recursively when it is evaluated.
      if (++chain > MAX_DEPTH * 5) throw tooDeep(cursor.next);
      const { text: operator, place } = cursor.take();
      left = { kind: 'binary', place, operator, left, right: binary(level + 1) };
    }
    return left;
  }

  function unary(): Expression {
    if (++depth > MAX_DEPTH) throw tooDeep(cursor.next);
    const { next } = cursor;
    const isOperator = next.kind === 'mark' && ['+', '-', '~', '!'].includes(next.text);
    const found = isOperator ? signed(cursor.take()) : primary();
    depth--;
    return found;
  }

  function signed({ text: operator, place }: Token): Expression {
    return { kind: 'unary', place, operator, operand: unary() };
  }

  function primary(): Expression {
    const { kind, text, place } = cursor.next;
    if (cursor.takeMark('(')) {
      const inside = binary(0);
      cursor.expectMark(')', 'to close the parenthesis');
      return inside;
    }
    if (kind === 'mark' && (text === '$' || text === '$$')) {
      cursor.take();
      return { kind: text === '$' ? 'here' : 'start', place };
    }
    if (kind === 'number') return { kind, place, value: cursor.take().value };
    if (kind === 'string') return { kind, place, bytes: cursor.take().bytes };
    if (kind === 'name') return name(cursor.take());
    throw refuse(cursor);
  }

  function name({ text, place, escaped }: Token): Expression {
    const register = escaped ? undefined : findRegister(text);
    return register ? { kind: 'register', place, register } : { kind: 'symbol', place, name: qualify(text) };
  }
}

function tooDeep({ place }: Token): AsmError {
  return new AsmError(place, 'The expression is nested too deeply', 'Split it with equ.');
}

function refuse(cursor: Cursor): AsmError {
  if (cursor.next.kind === 'inlined')
    return cursor.unexpected('a number', 'Bytes and code stand on a line of their own, or behind db.');
  if (cursor.atMark('[')) return cursor.unexpected('a number', 'A memory operand has one pair of brackets.');
  return cursor.unexpected('a number, a register or a name', 'Complete the operand.');
}
