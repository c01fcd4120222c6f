/** What the command is at, in words that can stand behind "while": `booting the svm machine`. */
let now = 'it began';

/** From now on it is at this. */
export function doing(what: string): void {
  now = what;
}

/** What it is at. */
export const whatIsDone = (): string => now;
