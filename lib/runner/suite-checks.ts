import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { checkList, checkObject } from '../base/check.ts';
import { checksById, type Subject, subject } from '../suite/check.ts';
import { findScript } from './bundle/bundle.ts';
import { importModule } from './bundle/import-module.ts';
import { bundleModule, packageEntry } from './bundle/module.ts';

/**
 * The subjects of the suite, or those that a module exports as `subjects`.
 *
 * @param module its absolute path; `null`: the suite's own
 * @throws ArgumentError if what it exports is no list of subjects
 */
export async function loadSubjects(module: string | null): Promise<readonly Subject[]> {
  if (module === null) return (await import('../suite/subjects/index.ts')).subjects;
  const exported = checkObject('module', (await importModule(pathToFileURL(module).href)) as { subjects: Subject[] });
  const subjects = checkList('subjects', exported.subjects).map((given) => {
    const { name, title, checks } = checkObject('subject', given);
    return subject(name, title, checks);
  });
  checksById(subjects);
  return subjects;
}

/** A user's script of checks as one module that this host can import. */
export async function checksModule(script: string): Promise<{ path: string; remove(): void }> {
  const path = findScript(script);
  const directory = mkdtempSync(join(tmpdir(), 'kvm-dsm-'));
  const module = join(directory, `${basename(path)}.mjs`);
  writeFileSync(module, await bundleModule(path, packageEntry));
  return { path: module, remove: () => rmSync(directory, { recursive: true, force: true }) };
}
