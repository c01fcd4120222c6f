import { readFileSync } from 'node:fs';
import { profileByName } from '../../abi/dsm/profiles.ts';
import type { Job } from '../../suite/run/protocol.ts';
import { work } from '../../suite/run/worker.ts';
import { loadSubjects } from './subjects.ts';

/** The process that runs checks: its job comes on its standard input. Returns the exit code. */
export async function suiteWorker(): Promise<number> {
  const job = JSON.parse(readFileSync(0, 'utf8')) as Job;
  await work(job, await loadSubjects(job.module), profileByName(job.profile));
  return 0;
}
