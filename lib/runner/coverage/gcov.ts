/** What gcov says of a kernel's counters: which lines there are, and which were run. */
import { existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, normalize } from 'node:path';
import { inflateRawSync } from 'node:zlib';
import { runBound } from '../../lab/process.ts';
import type { KernelTold } from '../../suite/run/protocol.ts';
import { CoverageError } from './errors.ts';

/** Of one file, a source or a header of it. */
export interface FileLines {
  /** The line of each function's begin, by its name. */
  functions: Map<string, { line: number }>;
  /** The lines that have code, and the function of each: '' if it is of none. */
  code: Map<number, string>;
  /** Of these, what was run. */
  ran: Set<number>;
}

/** By file, relative to the kernel's tree. */
export type SourceLines = Map<string, FileLines>;

/** Source: gcov(1), --json-format. */
interface GcovDocument {
  files: {
    file: string;
    functions: { name: string; start_line: number }[];
    lines: { line_number: number; count: number; function_name?: string }[];
  }[];
}

/**
 * Asks gcov.
 *
 * @param notes the folder with the compiler's notes
 * @param counters by file, without its ending
 * @throws CoverageError
 */
export async function linesOfCounters(
  notes: string,
  counters: NonNullable<KernelTold['counters']>,
): Promise<SourceLines> {
  const work = mkdtempSync(join(tmpdir(), 'kvm-dsm-gcov-'));
  try {
    const names = Object.keys(counters).map((file, index) => {
      const note = join(notes, `${file}.gcno`);
      if (!existsSync(note))
        throw new CoverageError(`the kernel's build left no notes of ${file}.c: ${note} is missing`);
      symlinkSync(note, join(work, `${index}.gcno`));
      writeFileSync(join(work, `${index}.gcda`), inflateRawSync(Buffer.from(counters[file]!, 'base64')));
      return `${index}.gcda`;
    });
    const documents: GcovDocument[] = [];
    const said: string[] = [];
    const onLine = (line: string) => {
      if (line.startsWith('{')) documents.push(JSON.parse(line) as GcovDocument);
      else said.push(line);
    };
    const { code } = await runBound('gcov', ['--json-format', '--stdout', ...names], { cwd: work, onLine }).catch(
      (error: NodeJS.ErrnoException) => {
        throw new CoverageError(`gcov does not start: ${error.code ?? error.message}`);
      },
    );
    // It says so, ends with 0, and takes every line for one that was never run.
    const refused = said.find((line) => /version|stamp mismatch|not a gcov|cannot open/.test(line));
    if (code !== 0 || refused !== undefined || documents.length !== names.length)
      throw new CoverageError(`gcov: ${refused ?? said.slice(-5).join('; ')}`);
    return merged(documents);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** A header's lines come with each source that has them. */
function merged(documents: readonly GcovDocument[]): SourceLines {
  const all: SourceLines = new Map();
  for (const { file, functions, lines } of documents.flatMap((document) => document.files)) {
    const path = normalize(file);
    const of = all.get(path) ?? { functions: new Map(), code: new Map(), ran: new Set() };
    all.set(path, of);
    for (const { name, start_line } of functions) of.functions.set(name, { line: start_line });
    for (const { line_number, count, function_name = '' } of lines) {
      of.code.set(line_number, function_name);
      if (count > 0) of.ran.add(line_number);
    }
  }
  return all;
}
