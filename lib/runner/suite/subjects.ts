/** The suite's subjects, or those of a user's module. */
import { pathToFileURL } from 'node:url';
import { checkList, checkObject } from '../../base/check.ts';
import { ArgumentError } from '../../base/errors.ts';
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
  if (exported.subjects === undefined)
    throw new ArgumentError(
      'checks',
      'the script exports no `subjects`: it is no module of checks',
      'A module of checks exports them: docs/howto/checks.md. A script is run by `kvm-dsm run`.',
    );
  const subjects = checkList('subjects', exported.subjects).map((given) => {
    const { name, title, checks } = checkObject('subject', given);
    return subject(name, title, checks);
  });
  checksById(subjects);
  return subjects;
}
