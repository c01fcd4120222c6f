/** A unified diff, read as far as a review talks about it. */

/** One hunk. */
export interface Hunk {
  /** From 1, in its file. */
  number: number;
  /** The line that begins it: `@@ -13,6 +13,7 @@ struct kvm_run {`. */
  head: string;
  /** The first line that it adds has this number in the new file. */
  newStart: number;
  lines: string[];
}

/** What a diff does to one file. */
export interface FileDiff {
  /** Its path in the new tree; of a removed file, in the old one. */
  path: string;
  /** Its path in the old tree; null if it is new. */
  oldPath: string | null;
  isRemoved: boolean;
  hunks: Hunk[];
}

/** A line that a diff adds. */
export interface AddedLine {
  path: string;
  /** In the new file. */
  line: number;
  text: string;
}

/** The files of a diff. What stands around the hunks (a message, a diffstat, a signature) is not looked at. */
export function parseDiff(text: string): FileDiff[] {
  const lines = text.split('\n');
  const files: FileDiff[] = [];
  for (let at = 0; at < lines.length; at++) {
    const renamed = /^diff --git a\/(\S+) b\/(\S+)$/.exec(lines[at]!);
    if (renamed && !hasHunks(lines, at + 1)) {
      // A rename, or a file without a line: no hunk follows.
      const isNew = /^new file mode/.test(lines[at + 1] ?? '');
      const isRemoved = /^deleted file mode/.test(lines[at + 1] ?? '');
      files.push({ path: renamed[2]!, oldPath: isNew ? null : renamed[1]!, isRemoved, hunks: [] });
      continue;
    }
    const from = /^--- (\S+)/.exec(lines[at]!);
    const to = from && /^\+\+\+ (\S+)/.exec(lines[at + 1] ?? '');
    if (!from || !to || !(lines[at + 2] ?? '').startsWith('@@ ')) continue;
    const oldPath = from[1] === '/dev/null' ? null : stripped(from[1]!);
    const isRemoved = to[1] === '/dev/null';
    const file: FileDiff = { path: isRemoved ? oldPath! : stripped(to[1]!), oldPath, isRemoved, hunks: [] };
    at += 2;
    for (let hunk = readHunk(lines, at, 1); hunk; hunk = readHunk(lines, at, file.hunks.length + 1)) {
      file.hunks.push(hunk);
      at += 1 + hunk.lines.length;
    }
    at -= 1;
    files.push(file);
  }
  return files;
}

function hasHunks(lines: readonly string[], from: number): boolean {
  for (let at = from; at < lines.length && !lines[at]!.startsWith('diff --git '); at++)
    if (lines[at]!.startsWith('--- ') && lines[at + 1]?.startsWith('+++ ')) return true;
  return false;
}

/** `a/virt/kvm/kvm_main.c` without its first folder, as `patch -p1` takes it. */
function stripped(path: string): string {
  return path.slice(path.indexOf('/') + 1);
}

function readHunk(lines: readonly string[], at: number, number: number): Hunk | undefined {
  const head = lines[at] ?? '';
  const found = /^@@ -\d+(?:,(\d+))? \+(\d+)(?:,(\d+))? @@/.exec(head);
  if (!found) return undefined;
  let old = Number(found[1] ?? 1);
  let fresh = Number(found[3] ?? 1);
  const body: string[] = [];
  while (old > 0 || fresh > 0 || lines[at + 1 + body.length]?.startsWith('\\ No newline')) {
    const line = lines[at + 1 + body.length];
    if (line === undefined) break;
    const sign = line[0];
    if (sign === '+') fresh -= 1;
    else if (sign === '-') old -= 1;
    else if (sign === ' ' || line === '') {
      old -= 1;
      fresh -= 1;
    } else if (sign !== '\\') break;
    body.push(line);
  }
  return { number, head, newStart: Number(found[2]), lines: body };
}

/** The lines that a diff adds, with their places in the new files. */
export function addedLines(files: readonly FileDiff[]): AddedLine[] {
  return files.flatMap(({ path, hunks }) =>
    hunks.flatMap(({ newStart, lines }) => {
      let line = newStart;
      return lines.flatMap((text) => {
        if (text.startsWith('-') || text.startsWith('\\')) return [];
        const here = { path, line: line++, text: text.slice(1) };
        return text.startsWith('+') ? [here] : [];
      });
    }),
  );
}
