import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import './own-session.ts';

export const root = fileURLToPath(new URL('../..', import.meta.url));

export interface CommandResult {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs the built `kvm-dsm` with these arguments. A command that takes longer than `seconds` is ended: code null. */
export function kvmDsm(args: readonly string[], seconds = 120, wrapper: readonly string[] = []): CommandResult {
  const [command, ...rest] = [...wrapper, process.execPath, `${root}dist/cli/main.js`, ...args];
  return runProgram(command!, rest, seconds);
}

/** Runs a program in a folder, as a process that knows nothing of the tests. One that takes longer than `seconds` is ended. */
export function runProgram(program: string, args: readonly string[], seconds: number, cwd = root): CommandResult {
  const env = { ...process.env, NODE_OPTIONS: '', NODE_TEST_CONTEXT: undefined };
  const options = { cwd, env, encoding: 'utf8', timeout: seconds * 1000, maxBuffer: 1 << 28 } as const;
  const { status, stdout, stderr } = spawnSync(program, args, options);
  return { code: status, stdout, stderr };
}

/** The JSON objects of an output of one per line. */
export function jsonLines(text: string): Record<string, unknown>[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}
