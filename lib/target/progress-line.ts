/** Progress on standard error. On a terminal one line is written over and over; elsewhere every word is a line. */
export function progressLine() {
  const { stderr } = process;
  if (!stderr.isTTY) return { report: (line: string) => void stderr.write(`${line}\n`), end() {} };
  let told = false;
  return {
    reportEveryMs: 500,
    report(line: string) {
      told = true;
      stderr.write(`\r\x1b[K${line.slice(0, stderr.columns - 1)}`);
    },
    end: () => void (told && stderr.write('\n')),
  };
}
