/** Processes of this very command. */
import { type ChildProcess, spawn } from 'node:child_process';
import { boundCommand, canBind } from '../host/bound-process.ts';
import { laneHere } from '../host/lane.ts';

const FOLLOWS = 'KVM_DSM_FOLLOWS';

/** This command, before a script gets its own arguments. */
const main = process.argv[1]!;

/** Starts this command once more; it ends when this process does, and writes where this one writes, or into a pipe. */
export function startOwn(
  args: readonly string[],
  flags: readonly string[] = [],
  env: NodeJS.ProcessEnv = {},
  stdout: 'inherit' | 'pipe' = 'inherit',
): ChildProcess {
  const given = [...process.execArgv, ...flags, main, ...args];
  // In the lab there is no setpriv, and nothing outlives the machine.
  const [command, all] =
    laneHere === null && canBind() ? boundCommand(process.execPath, given) : [process.execPath, given];
  return spawn(command, all, {
    stdio: ['inherit', stdout, 'inherit', 'ipc'],
    env: { ...process.env, ...env, NODE_TEST_CONTEXT: undefined, [FOLLOWS]: '1' },
  });
}

/** In a process that was started so: end with the one that started it. */
export function followParent(): void {
  if (!process.channel || !process.env[FOLLOWS]) return;
  delete process.env[FOLLOWS];
  process.on('disconnect', () => process.kill(process.pid, 'SIGTERM'));
  process.channel.unref();
}
