/** `kvm-dsm init`: a project of tests, ready to run. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { PlainError } from '../../base/errors.ts';
import { packageRoot } from '../../base/package.ts';
import { print } from '../../target/output.ts';
import { type OwnManifest, packageName, projectFiles } from './files.ts';

/** The project cannot be made where it was asked for. */
export class ProjectFolderError extends PlainError {
  readonly code = 'ERR_PROJECT_FOLDER';
  override readonly exitCode = 2;
}

/** Makes the project in a folder, which need not be there, and prints what was made. Nothing that is there is written over. */
export function initProject(to: string, json: boolean): void {
  const folder = resolve(to);
  const own = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as OwnManifest;
  const files = projectFiles(packageName(basename(folder)), own);
  const names = Object.keys(files);
  const there = names.filter((name) => existsSync(join(folder, name)));
  if (there.length > 0)
    throw new ProjectFolderError(`${folder} has ${there.join(', ')} already: nothing was written`, {
      advice: 'Give a folder that is new, or has none of these files: kvm-dsm init ipi-tests.',
    });
  try {
    for (const [name, text] of Object.entries(files)) {
      const path = join(folder, name);
      mkdirSync(dirname(path), { recursive: true });
      // Whoever has made one meanwhile keeps it.
      writeFileSync(path, text, { flag: 'wx' });
    }
  } catch (error) {
    throw new ProjectFolderError(`The project cannot be written: ${(error as Error).message}`, {
      advice: 'Give a folder that you may write to.',
      cause: error,
    });
  }
  if (json) print(`${JSON.stringify({ folder, files: names })}\n`);
  else print(`made in ${folder}: ${names.join(', ')}\nnext, in that folder: npm install, npm run check, npm test\n`);
}
