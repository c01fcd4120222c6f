/** What the assembler refuses of a script, before anything is booted. */
import { readFileSync } from 'node:fs';
import { AsmError } from '../../guest/asm/error.ts';
import type { Assembler } from '../../guest/asm/index.ts';
import { type Template, templatesOf } from './templates.ts';

/**
 * The errors that each run would end with, with their places in the file: of a template without interpolations every one, of the
 * others those of lines that are all text, as far as a line tells by itself.
 *
 * @param options.named each says in which file it is
 */
export async function assemblyErrors(file: string, { named = false } = {}): Promise<AsmError[]> {
  const source = readFileSync(file, 'utf8');
  const templates = templatesOf(source);
  if (templates.length === 0) return [];
  const { asm } = await import('../../guest/asm/index.ts');
  const lines = source.split('\n');
  return templates.flatMap((template) => {
    const error = errorOf(template, asm[template.mode]);
    return error ? [inFile(lines, template, error, named ? ` (${file})` : '')] : [];
  });
}

function errorOf({ parts }: Template, assemble: Assembler): AsmError | undefined {
  const isWhole = parts.length === 1;
  try {
    const code = assemble(isWhole ? asTag(parts[0]!) : ownLines(parts));
    if (isWhole) void code.bytes;
  } catch (error) {
    // What depends on where it lies, or on what is interpolated, is the run's to tell.
    const isSure = error instanceof AsmError && !error.addressDependent;
    return isSure && (isWhole || !/ is not defined$/.test(error.reason)) ? error : undefined;
  }
  return undefined;
}

/** In a template a backslash is one, but before a backtick it is what lets the backtick be there. */
const asTag = (part: string): string => part.replaceAll('\\`', '`');

/** The text without the lines that something is interpolated into, which are left empty. */
function ownLines(parts: readonly string[]): string {
  const hole = String.fromCodePoint(0xe000);
  const lines = parts.map(asTag).join(hole).split('\n');
  return lines.map((line) => (line.includes(hole) ? '' : line)).join('\n');
}

function inFile(lines: readonly string[], template: Template, error: AsmError, where: string): AsmError {
  const line = template.line + error.line - 1;
  const column = error.line === 1 ? template.column + error.column - 1 : error.column;
  const place = { line, column, text: error.text, source: lines[line - 1] ?? '' };
  return new AsmError(place, `${error.reason}${where}`, error.advice);
}
