/** Applies a series to the files that it touches: no tree is written to. */
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { dirname, join, normalize } from 'node:path';
import { runBound } from '../../lab/process.ts';
import { SeriesError } from '../errors.ts';
import { type Patch, type Series, touchedFiles } from './series.ts';

/** Where and why a patch does not apply. */
export interface ApplyFailure {
  /** The title of the patch. */
  patch: string;
  file: string;
  /** Its number in the file; null if the whole file is in the way. */
  hunk: number | null;
  /** The hunk's first line, and what stands behind it. */
  excerpt: string[];
  /** In words. */
  reason: string;
}

/** What became of a series: the new files, or the first failure. */
export type Applied =
  | { ok: true; changed: string[]; removed: string[]; fuzz: string[] }
  | { ok: false; failure: ApplyFailure };

/** A file of the tree as it is without the series; null if it is not there. */
export type ReadFile = (path: string) => Uint8Array | null;

/** Applies a series in order, without fuzz, to copies of the files that it touches; `work` holds the new ones afterwards. */
export async function applySeries(series: Series, read: ReadFile, work: string, abort?: AbortSignal): Promise<Applied> {
  const touched = touchedFiles(series);
  for (const path of touched) {
    checkInside(path);
    const content = read(path);
    if (content === null) continue;
    mkdirSync(dirname(join(work, path)), { recursive: true });
    await writeFile(join(work, path), content);
  }
  const fuzz: string[] = [];
  for (const patch of series.patches) {
    const file = join(work, '.patch');
    await writeFile(file, patch.text);
    const args = [
      '-p1',
      '--batch',
      '--forward',
      '--fuzz=0',
      '--no-backup-if-mismatch',
      '-r',
      '-',
      '-d',
      work,
      '-i',
      file,
    ];
    const { code, output } = await runBound('patch', args, { abort, env: { ...process.env, LC_ALL: 'C' } });
    rmSync(file);
    if (code !== 0) return { ok: false, failure: failureOf(patch, output) };
    fuzz.push(...output.split('\n').filter((line) => /\(offset -?\d+ lines?\)/.test(line)));
  }
  const isThere = (path: string) => existsSync(join(work, path));
  return { ok: true, changed: touched.filter(isThere), removed: touched.filter((path) => !isThere(path)), fuzz };
}

/** `patch` refuses such paths itself; here nothing is copied from them either. */
function checkInside(path: string): void {
  if (!path.startsWith('/') && !normalize(path).startsWith('..')) return;
  throw new SeriesError(`a patch names ${path}, which is outside of the tree`, { advice: 'Do not apply it anywhere.' });
}

/** What `patch` said, as a failure with patch, file and hunk. */
export function failureOf(patch: Patch, output: string): ApplyFailure {
  let file = '';
  for (const line of output.split('\n')) {
    const patching = /^(?:patching|checking) (?:symbolic link|file) '?(.*?)'?(?: \(.*\))?$/.exec(line);
    if (patching) file = patching[1]!;
    const failed = /^Hunk #(\d+) FAILED at (\d+)/.exec(line);
    if (failed) return hunkFailure(patch, file, Number(failed[1]), `line ${failed[2]} holds something else`);
    if (/^Reversed \(or previously applied\)|previously applied/.test(line))
      return fileFailure(patch, file, 'it is applied already');
    const malformed = /malformed patch at line (\d+): (.*)$/.exec(line);
    if (malformed) return malformedFailure(patch, Number(malformed[1]), malformed[2]!);
    if (/^The next patch would create the file/.test(line))
      return fileFailure(patch, /file (.*),$/.exec(line)?.[1] ?? file, 'the file that it creates is there already');
    if (/^can't find file to patch at input line/.test(line)) {
      const missing = patch.files.find(
        ({ path }) => output.includes(`+++ b/${path}`) || output.includes(`+++ ${path}`),
      );
      return fileFailure(patch, missing?.path ?? file, 'there is no such file in the tree');
    }
  }
  return fileFailure(patch, file || (patch.files[0]?.path ?? ''), output.trim().split('\n').slice(-3).join('; '));
}

function hunkFailure(patch: Patch, file: string, number: number, reason: string): ApplyFailure {
  const hunk = patch.files.find(({ path }) => path === file)?.hunks[number - 1];
  const excerpt = hunk ? [hunk.head, ...hunk.lines.slice(0, 6)] : [];
  return { patch: patch.title, file, hunk: number, excerpt, reason };
}

function fileFailure(patch: Patch, file: string, reason: string): ApplyFailure {
  return { patch: patch.title, file, hunk: null, excerpt: [], reason };
}

/** A mailer has wrapped lines, or taken blanks from their beginning. */
function malformedFailure(patch: Patch, line: number, text: string): ApplyFailure {
  const lines = patch.text.split('\n');
  let at = Math.min(line, lines.length) - 1;
  while (at > 0 && !lines[at]!.startsWith('@@ ')) at -= 1;
  let top = at;
  while (top > 0 && !lines[top]!.startsWith('+++ ')) top -= 1;
  const file = lines[top]!.replace(/^\+\+\+ [^/]*\//, '').trim();
  const hunk = lines.slice(top, at + 1).filter((one) => one.startsWith('@@ ')).length;
  const excerpt = [lines[at]!, text];
  return { patch: patch.title, file, hunk: hunk || null, excerpt, reason: 'the patch is damaged, as a mailer does it' };
}
