import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url));

/** The path of a sanitizer's runtime library, as the compiler knows it; `null` if it is not installed. */
export function runtime(library: string): string | null {
  const { stdout } = spawnSync('c++', [`-print-file-name=${library}`], { encoding: 'utf8' });
  const path = stdout?.trim() ?? '';
  return path.startsWith('/') && existsSync(path) ? path : null;
}

export interface Result {
  ok: boolean;
  output: string;
}

/** Runs a command of this project; what it says is kept for a failure's message. */
export function run(command: string, args: string[], env: NodeJS.ProcessEnv = {}, timeout = 300_000): Result {
  // Without its variable a `node --test` inside a test reports for a person.
  const { NODE_TEST_CONTEXT: _, ...inherited } = process.env;
  const { status, signal, stdout, stderr, error } = spawnSync(command, args, {
    cwd: root,
    env: { ...inherited, ...env },
    encoding: 'utf8',
    timeout,
    maxBuffer: 64 << 20,
  });
  const how = error ? String(error) : signal ? `signal ${signal}` : `status ${status}`;
  return { ok: status === 0, output: `${command} ${args.join(' ')}: ${how}\n${stdout}${stderr}` };
}
