/** The suite's subjects, or those of a user's module. */
import { pathToFileURL } from 'node:url';
import { checkList, checkObject } from '../../base/check.ts';
import { checksById, type Subject, subject } from '../../suite/check.ts';
import { importModule } from '../evaluate/import-module.ts';

/**
 * The subjects of the suite, or those that a module exports as `subjects`.
 *
 * @param module its absolute path; `null`: the suite's own
 * @throws ArgumentError if what it exports is no list of subjects
 */
export async function loadSubjects(module: string | null): Promise<readonly Subject[]> {
  if (module === null) return (await import('../../suite/subjects/index.ts')).subjects;
  const exported = checkObject('module', (await importModule(pathToFileURL(module).href)) as { subjects: Subject[] });
  const subjects = checkList('subjects', exported.subjects).map((given) => {
    const { name, title, checks } = checkObject('subject', given);
    return subject(name, title, checks);
  });
  checksById(subjects);
  return subjects;
}
