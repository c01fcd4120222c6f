/** What is wrong with a script, for programs: in the words of `tsc`, or of the assembler. */

export interface Diagnostic {
  /** `null`: it is about the project. */
  readonly file: string | null;
  readonly line: number | null;
  readonly column: number | null;
  /** `TS2322`, or `ERR_ASM`. */
  readonly code: string;
  readonly message: string;
}

const located = /^(.+)\((\d+),(\d+)\): error (TS\d+): (.*)$/;
const general = /^error (TS\d+): (.*)$/;

/** The errors of an output without colours; lines that belong to the one before are part of its message. */
export function readDiagnostics(text: string): Diagnostic[] {
  const found: Diagnostic[] = [];
  for (const line of text.split('\n')) {
    const at = located.exec(line);
    const all = general.exec(line);
    const last = found.at(-1);
    if (at) {
      const [, file, row, column, code, message] = at as unknown as [string, string, string, string, string, string];
      found.push({ file, line: Number(row), column: Number(column), code, message });
    } else if (all) found.push({ file: null, line: null, column: null, code: all[1]!, message: all[2]! });
    else if (last && line.startsWith('  '))
      found[found.length - 1] = { ...last, message: `${last.message}\n${line.trimEnd()}` };
  }
  return found;
}
