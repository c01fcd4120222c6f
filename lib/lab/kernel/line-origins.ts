/** Which patch each line of a source comes from, while patches are applied to it one after the other. */
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { LabBuildError } from '../errors.ts';
import { runBound } from '../process.ts';

/** Lines that stand together, from 1: the first one and the last one. */
export type LineRange = readonly [first: number, last: number];

/** By file, relative to the tree, and by what brought them in: the name of a patch, or of a folder of new files. */
export type OriginsByFile = Readonly<Record<string, Readonly<Record<string, readonly LineRange[]>>>>;

/** A place of a diff without context: so many lines of the old file are so many others of the new one. */
interface Change {
  old: number;
  removed: number;
  added: number;
}

/** The changes that `diff -U0` tells. */
export function changesOf(diff: string): Change[] {
  return [...diff.matchAll(/^@@ -(\d+)(?:,(\d+))? \+\d+(?:,(\d+))? @@/gm)].map(
    ([, old, removed = '1', added = '1']) => ({
      // Where nothing is removed diff names the line before.
      old: Number(old) + (removed === '0' ? 1 : 0),
      removed: Number(removed),
      added: Number(added),
    }),
  );
}

/** The origin of each line, from 0, after such changes by `origin`. */
export function originsAfter(before: readonly string[], changes: readonly Change[], origin: string): string[] {
  const after: string[] = [];
  let next = 0;
  for (const { old, removed, added } of changes) {
    after.push(...before.slice(next, old - 1), ...Array<string>(added).fill(origin));
    next = old - 1 + removed;
  }
  return [...after, ...before.slice(next)];
}

/** Lines of the same origin, together. Those of the source as it was, '', are left out. */
export function rangesOf(origins: readonly string[]): Record<string, LineRange[]> {
  const ranges: Record<string, LineRange[]> = {};
  for (let from = 0; from < origins.length; ) {
    let to = from + 1;
    while (origins[to] === origins[from]) to += 1;
    const origin = origins[from]!;
    if (origin !== '') ranges[origin] = [...(ranges[origin] ?? []), [from + 1, to]];
    from = to;
  }
  return ranges;
}

/** The files of a patch, by what it says they are called afterwards. */
export function filesOfPatch(text: string): string[] {
  return [...text.matchAll(/^\+\+\+ b\/(\S+)/gm)].map(([, file]) => file!);
}

export class LineOrigins {
  readonly #tree: string;
  readonly #copies: string;
  readonly #byFile = new Map<string, string[]>();

  /** @param copies a folder for files as they were before a patch: it is made, and removed again */
  constructor(tree: string, copies: string) {
    this.#tree = tree;
    this.#copies = copies;
  }

  /** Applies a patch, and looks at what it has changed. @param apply does it */
  async patched(path: string, name: string, apply: () => Promise<void>): Promise<void> {
    const files = filesOfPatch(readFileSync(path, 'utf8'));
    for (const file of files) this.#keep(file);
    await apply();
    for (const file of files) await this.#compare(file, name);
    rmSync(this.#copies, { recursive: true, force: true });
  }

  /** A whole file is new. */
  added(file: string, name: string): void {
    const lines = readFileSync(join(this.#tree, file), 'utf8').split('\n').length - 1;
    this.#byFile.set(file, Array<string>(lines).fill(name));
  }

  byFile(): OriginsByFile {
    return Object.fromEntries([...this.#byFile].map(([file, origins]) => [file, rangesOf(origins)]));
  }

  #keep(file: string): void {
    const [from, copy] = [join(this.#tree, file), join(this.#copies, file)];
    mkdirSync(dirname(copy), { recursive: true });
    if (existsSync(from)) copyFileSync(from, copy);
    else writeFileSync(copy, '');
    if (!this.#byFile.has(file)) {
      const lines = readFileSync(copy, 'utf8').split('\n').length - 1;
      this.#byFile.set(file, Array<string>(lines).fill(''));
    }
  }

  async #compare(file: string, name: string): Promise<void> {
    const now = join(this.#tree, file);
    if (!existsSync(now)) return void this.#byFile.delete(file);
    let diff = '';
    const onLine = (line: string) => {
      if (line.startsWith('@@ ')) diff += `${line}\n`;
    };
    const { code, output } = await runBound('diff', ['-U0', join(this.#copies, file), now], { onLine });
    if (code !== 0 && code !== 1)
      throw new LabBuildError(`diff ended with ${code}: ${output.trim().slice(-500)}`, {
        advice: 'It is of the package diffutils.',
      });
    this.#byFile.set(file, originsAfter(this.#byFile.get(file)!, changesOf(diff), name));
  }
}
