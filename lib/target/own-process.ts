/** Processes of this very command. */
import { type ChildProcess, spawn } from 'node:child_process';
import { boundCommand, canBind } from '../host/bound-process.ts';
import { laneHere } from '../host/lane.ts';

const FOLLOWS = 'KVM_DSM_FOLLOWS';

/** This command, before a script gets its own arguments. */
const main = process.argv[1]!;

/** The descriptor of a process' line to the one that has started it. */
export const LINE_DESCRIPTOR = 4;

/**
 * Starts this command once more; it ends when this process does, and writes where this one writes, or into a pipe.
 *
 * @param hasLine it has a line to this process as well
 */
export function startOwn(
  args: readonly string[],
  flags: readonly string[] = [],
  env: NodeJS.ProcessEnv = {},
  stdout: 'inherit' | 'pipe' = 'inherit',
  hasLine = false,
): ChildProcess {
  const given = [...process.execArgv, ...flags, main, ...args];
  // In the lab there is no setpriv, and nothing outlives the machine.
  const [command, all] =
    laneHere === null && canBind() ? boundCommand(process.execPath, given) : [process.execPath, given];
  return spawn(command, all, {
    stdio: ['inherit', stdout, 'inherit', 'ipc', ...(hasLine ? (['pipe'] as const) : [])],
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
