/** How an emulator is asked what it is: it is started with words that make it tell, and end. */
import { spawnSync } from 'node:child_process';
import { programEnvironment } from '../../host/programs.ts';
import { LabEmulatorError } from '../errors.ts';

const patienceMs = 10_000;

/** What a binary prints when it is called with `args`, standard error behind standard output. */
export function ask(path: string, args: readonly string[]): string {
  const env = { ...programEnvironment(), TERM: 'xterm' };
  const answer = spawnSync(path, args, {
    encoding: 'utf8',
    timeout: patienceMs,
    killSignal: 'SIGKILL',
    env,
    input: '',
  });
  if (answer.error) {
    throw new LabEmulatorError(`${path} cannot be run: ${answer.error.message}`, {
      advice: 'Check the path given by --emulator.',
      cause: answer.error,
    });
  }
  return `${answer.stdout}\n${answer.stderr}`;
}
