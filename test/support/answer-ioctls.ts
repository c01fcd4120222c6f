/** Commands for which the kernel answers some ioctls otherwise than it would: by a filter of its own (seccomp). */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from './command.ts';

const work = mkdtempSync(join(tmpdir(), 'kvm-dsm-answer-'));
process.once('exit', () => rmSync(work, { recursive: true, force: true }));
const program = join(work, 'answer-ioctls');

/** Why there is no such command here; false if there is. For a test's `skip`. */
export const noAnswers: string | false = (() => {
  const built = spawnSync('cc', ['-O1', '-Wall', '-Werror', '-o', program, join(root, 'test/support/answer-ioctls.c')]);
  if (built.error) return 'no C compiler (cc) here';
  if (built.status !== 0) throw new Error(`cc: ${built.stderr}`);
  const { status, stderr } = spawnSync(program, ['25', '1', '--', 'true'], { encoding: 'utf8' });
  return status === 0 ? false : `system calls cannot be filtered here: ${stderr.trim()}`;
})();

/** What stands before a command whose ioctls of these numbers are to be answered by that errno. */
export function answering(errno: number, requests: readonly number[]): string[] {
  return [program, String(errno), ...requests.map(String), '--'];
}
