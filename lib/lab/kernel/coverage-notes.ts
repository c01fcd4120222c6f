/** What is kept of the build of a kernel that counts its lines: without it nobody can say which counter is of which line. */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { LabBuildError } from '../errors.ts';
import { listFiles } from './key.ts';
import type { LineOrigins, OriginsByFile } from './line-origins.ts';

/** Where KVM's sources are, relative to the tree, and its objects, relative to theirs. */
const FOLDERS = ['arch/x86/kvm', 'virt/kvm'];

/** The folder of it beside a kernel's image. */
export const coverageFolder = (kernel: string) => join(dirname(kernel), 'coverage');

/** The file there that says where each line comes from. */
const ORIGINS = 'origins.json';

/**
 * Keeps the compiler's notes of each file of KVM's, the files themselves, and where their lines come from.
 *
 * @param out where the objects are
 * @param folder is made
 * @throws LabBuildError if the compiler made no notes
 */
export function keepCoverageNotes(tree: string, out: string, folder: string, origins: LineOrigins | undefined): void {
  const ofKvm = (root: string, kind: RegExp) =>
    FOLDERS.flatMap((name) => listFiles(join(root, name)).map((file) => join(name, file))).filter((file) =>
      kind.test(file),
    );
  const notes = ofKvm(out, /\.gcno$/);
  if (notes.length === 0)
    throw new LabBuildError('the compiler made no notes for gcov (*.gcno)', {
      advice: `Look whether the Makefiles of ${tree} heed GCOV_PROFILE.`,
    });
  mkdirSync(folder);
  for (const file of notes) cpSync(join(out, file), join(folder, file));
  for (const file of ofKvm(tree, /\.[ch]$/)) cpSync(join(tree, file), join(folder, file));
  writeFileSync(join(folder, ORIGINS), JSON.stringify(origins?.byFile() ?? {}));
}

/** Where the lines come from; of a tree that was built as it is, nothing is known. */
export function readOrigins(folder: string): OriginsByFile {
  return JSON.parse(readFileSync(join(folder, ORIGINS), 'utf8')) as OriginsByFile;
}

/** The files that the compiler made notes of, without their endings, such as `arch/x86/kvm/lapic`; none if there are no notes. */
export function notedFiles(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return FOLDERS.filter((name) => existsSync(join(folder, name)))
    .flatMap((name) => readdirSync(join(folder, name), { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.name.endsWith('.gcno'))
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).slice(0, -'.gcno'.length))
    .sort();
}
