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

/** A command over several lines, as a shell takes it. */
export function wrappedCommand(command: string): string[] {
  const lines = wrapped(command.replaceAll(/ (--\S+) (?!--)/g, ' $1\u00a0'), '  $ ');
  return lines.map((line, index) =>
    (index < lines.length - 1 ? `${line.trimEnd()} \\` : line).replaceAll('\u00a0', ' '),
  );
}

/** A line of a log: it keeps its blanks, and what does not fit goes on below. */
export function logged(text: string): string[] {
  return cut(`  | ${text.replaceAll('\t', '  ')}`, '  |   ');
}

function cut(line: string, indent: string): string[] {
  if (line.length <= COLUMNS) return [line];
  const rest = cut(`${indent}${line.slice(COLUMNS)}`, indent);
  return [line.slice(0, COLUMNS), ...rest];
}
