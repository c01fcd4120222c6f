/**
 * A folder of the session that is this test process' own, made by the import: a machine that the user has up (`lab up`) stands
 * in the user's, and no test asks it for a turn or takes it down.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { isMainThread } from 'node:worker_threads';

const prefix = 'kvm-dsm-session-';

/** One that a test process has made for itself and for the processes that it starts. */
export const isTestSession = (path = '') => basename(path).startsWith(prefix);

if (isMainThread && !isTestSession(process.env.XDG_RUNTIME_DIR)) {
  const session = mkdtempSync(join(tmpdir(), prefix));
  chmodSync(session, 0o700);
  process.env.XDG_RUNTIME_DIR = session;
  process.on('exit', () => rmSync(session, { recursive: true, force: true }));
}
