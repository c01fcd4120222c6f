import { doing } from './doing.ts';

/** Progress on standard error. On a terminal one line is written over and over; elsewhere every word is a line. */
export function progressLine() {
  const { stderr } = process;
  const note = (stage: string | undefined) => stage !== undefined && doing(`at "${stage}"`);
  if (!stderr.isTTY)
    return {
      report(line: string, stage?: string) {
        note(stage);
        stderr.write(`${line}\n`);
      },
      end() {},
    };
  let told = false;
  return {
    reportEveryMs: 500,
    report(line: string, stage?: string) {
      note(stage);
      told = true;
      stderr.write(`\r\x1b[K${line.slice(0, stderr.columns - 1)}`);
    },
    end: () => void (told && stderr.write('\n')),
  };
}
