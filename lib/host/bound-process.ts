/** Processes that end when this one does, by util-linux's setpriv. */
import { spawnSync } from 'node:child_process';
import { findProgram } from './programs.ts';

let setpriv = false;

/** True if util-linux's setpriv is here and knows --pdeathsig. */
export function canBind(): boolean {
  // Which is setpriv itself by then: nothing starts quicker.
  setpriv ||= spawnSync(...boundCommand('/proc/self/exe', ['--version']), { stdio: 'ignore' }).status === 0;
  return setpriv;
}

/**
 * A command that ends when this process does, however this one ends: the kernel sends it `signal` even after a SIGKILL of
 * ours, which no handler could do. Only where `canBind()`.
 */
export function boundCommand(
  command: string,
  args: readonly string[],
  signal: 'KILL' | 'TERM' = 'KILL',
): [string, string[]] {
  return [findProgram('setpriv') ?? '/usr/bin/setpriv', ['--pdeathsig', signal, '--', command, ...args]];
}
