/** Why files have fewer lines covered than others. */

interface Reason {
  files: RegExp;
  why: string;
}

export const reasons: readonly Reason[] = [];

export const reasonFor = (path: string): string | undefined => reasons.find(({ files }) => files.test(path))?.why;
