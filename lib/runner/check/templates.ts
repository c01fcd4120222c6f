/** The assembly in a script's source: its `asm` templates, found without running anything. */

import type { GuestMode } from '../../guest/code.ts';

/** A template `asm.flat32` and the like. */
export interface Template {
  readonly mode: GuestMode;
  /** From 1: the line of the source where its text begins. */
  readonly line: number;
  /** From 1: the column there. */
  readonly column: number;
  /** Its text, cut where something is interpolated. */
  readonly parts: readonly string[];
}

const tag = /\basm\s*\.\s*(flat32|long64|real16)\s*$/;
/** What is tried: it may be meant to be refused, as in `assert.throws(() => asm.flat32...)`. */
const tried = /=>\s*asm\s*\.\s*\w+\s*$/;
/** Behind these a slash begins a regular expression. */
const beforeRegex = /(?:^|[([{,;:=!&|?+*%~^<>-]|\b(?:return|typeof|case|in|of|void|await))\s*$/;

/** Those that are sure to be read, in order. None of a source that this does not understand. */
export function templatesOf(source: string): Template[] {
  const found: Template[] = [];
  return new Reader(source, found).code(0, false) === source.length ? found : [];
}

class Reader {
  readonly #source: string;
  readonly #found: Template[];

  constructor(source: string, found: Template[]) {
    this.#source = source;
    this.#found = found;
  }

  /** Reads code from there on: to its end, or to the brace that closes it. Returns where that is; -1 if it is not understood. */
  code(from: number, isInterpolated: boolean): number {
    const source = this.#source;
    let depth = 0;
    for (let at = from; at < source.length; ) {
      const char = source[at]!;
      if (char === '}' && isInterpolated && depth === 0) return at;
      if (char === '{') depth += 1;
      if (char === '}') depth -= 1;
      const next = this.#beyond(at, char);
      if (next < 0) return -1;
      at = next;
    }
    return isInterpolated ? -1 : source.length;
  }

  /** Behind the string, comment, template or character that begins there. */
  #beyond(at: number, char: string): number {
    const source = this.#source;
    if (char === "'" || char === '"') return this.#match(/(['"])(?:\\[\s\S]|(?!\1)[^\\\n])*\1/y, at);
    if (char === '`') return this.#template(at);
    if (char !== '/') return at + 1;
    if (source[at + 1] === '/') return this.#match(/[^\n]*/y, at);
    if (source[at + 1] === '*') return this.#match(/\/\*[\s\S]*?\*\//y, at);
    if (!beforeRegex.test(source.slice(Math.max(0, at - 40), at))) return at + 1;
    return this.#match(/\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+\/\w*/y, at);
  }

  #match(pattern: RegExp, at: number): number {
    pattern.lastIndex = at;
    return pattern.test(this.#source) ? pattern.lastIndex : -1;
  }

  #template(open: number): number {
    const source = this.#source;
    const parts: string[] = [];
    const before = source.slice(Math.max(0, open - 80), open);
    const mode = tag.exec(before)?.[1] as GuestMode | undefined;
    const slot = this.#found.length;
    let part = open + 1;
    for (let at = part; at < source.length; at++) {
      if (source[at] === '\\') at += 1;
      else if (source[at] === '`') {
        parts.push(source.slice(part, at));
        const line = source.slice(0, open).split('\n').length;
        const column = open + 1 - source.lastIndexOf('\n', open);
        // Before those that are interpolated into it.
        if (mode !== undefined && !tried.test(before)) this.#found.splice(slot, 0, { mode, line, column, parts });
        return at + 1;
      } else if (source.startsWith('${', at)) {
        parts.push(source.slice(part, at));
        at = this.code(at + 2, true);
        if (at < 0) return -1;
        part = at + 1;
      }
    }
    return -1;
  }
}
