/** Text for a mail: lines of at most 72 columns. */

/** The columns of a mail's line. */
export const COLUMNS = 72;

/** Words in lines, the first behind `first`, the others behind as many blanks. A word that is too long has its own line. */
export function wrapped(text: string, first = ''): string[] {
  const indent = ' '.repeat(first.length);
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/).filter(Boolean)) {
    if (line !== '' && indent.length + line.length + 1 + word.length > COLUMNS) {
      lines.push(line);
      line = '';
    }
    line = line === '' ? word : `${line} ${word}`;
  }
  lines.push(line);
  return lines.flatMap((one, index) => cut(`${index === 0 ? first : indent}${one}`, indent));
}

/** A command over several lines, as a shell takes it: an option stands with its value, and what is too long is cut by a backslash. */
export function wrappedCommand(command: string): string[] {
  const parts = command.split(/ (?=-)/);
  const [first = '', ...options] = parts;
  const lines: string[] = [];
  let line = `  $ ${first}`;
  for (const part of options) {
    // Two columns for the backslash.
    if (line.length + 1 + part.length > COLUMNS - 2) {
      lines.push(line);
      line = `    ${part}`;
    } else line = `${line} ${part}`;
  }
  lines.push(line);
  return lines.flatMap((one, index) => cutWord(index < lines.length - 1 ? `${one} \\` : one));
}

/** The shell joins what goes on at the first column. */
function cutWord(line: string): string[] {
  if (line.length <= COLUMNS) return [line];
  return [`${line.slice(0, COLUMNS - 1)}\\`, ...cutWord(line.slice(COLUMNS - 1))];
}

/** A line of a log: it keeps its blanks, and what does not fit goes on below. */
export function logged(text: string): string[] {
  return cut(`  | ${text.replaceAll('\t', '  ')}`, '  |   ');
}

/** At a blank, unless a line would be left half empty. */
function cut(line: string, indent: string): string[] {
  if (line.length <= COLUMNS) return [line];
  const blank = line.lastIndexOf(' ', COLUMNS);
  const at = blank > COLUMNS / 2 ? blank : COLUMNS;
  return [line.slice(0, at).trimEnd(), ...cut(`${indent}${line.slice(at).trimStart()}`, indent)];
}
