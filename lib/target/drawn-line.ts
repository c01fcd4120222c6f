import ansiEscapes from 'ansi-escapes';

/** A line of a terminal that is drawn over and over, and can be taken away; it has to be shorter than the terminal is wide. */
export function drawnLine(terminal: NodeJS.WriteStream) {
  const { cursorLeft, eraseLine } = ansiEscapes;
  let isDrawn = false;
  return {
    draw(text: string) {
      isDrawn = true;
      terminal.write(`${eraseLine}${cursorLeft}${text}`);
    },
    clear() {
      if (isDrawn) terminal.write(`${eraseLine}${cursorLeft}`);
      isDrawn = false;
    },
  };
}
