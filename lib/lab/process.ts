/** Child processes of the lab, none of which outlives this one. */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { boundCommand, canBind } from '../host/bound-process.ts';
import { programEnvironment } from '../host/programs.ts';
import { LabEmulatorError } from './errors.ts';

/** Spawns a process that ends when this one does, however this one ends. */
export function spawnBound(
  command: string,
  args: readonly string[],
  options: SpawnOptions,
  signal: 'KILL' | 'TERM' = 'KILL',
): ChildProcess {
  if (!canBind()) {
    throw new LabEmulatorError('setpriv (util-linux) is missing or does not know --pdeathsig', {
      advice: 'Install the package util-linux (Alpine: setpriv).',
    });
  }
  return spawn(...boundCommand(command, args, signal), { ...options, env: programEnvironment(options.env) });
}

/** What a finished child left. */
export interface Finished {
  code: number | null;
  signal: NodeJS.Signals | null;
  /** Standard output and standard error in the order of arrival, at most the last 64 KiB. */
  output: string;
}

/** How `runBound` runs its child. */
export interface BoundRunOptions {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  /** Each line of the child's output. */
  onLine?: (line: string) => void;
  /** Ends the child and all that it started. */
  abort?: AbortSignal | undefined;
}

const kept = 64 * 1024;

/** Milliseconds for a command to put away what is half done, once it was told to end. */
const graceMs = 5000;

/**
 * Runs a command to its end in a process group of its own, so that an abort ends the command together with everything
 * that it started. They are asked first: make removes the objects that are half written.
 */
export function runBound(command: string, args: readonly string[], options: BoundRunOptions = {}): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const child = spawnBound(
      command,
      args,
      {
        ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
        env: options.env,
        stdio: ['ignore', 'pipe', 'pipe'],
        detached: true,
      },
      'TERM',
    );
    let output = '';
    let rest = '';
    const take = (chunk: string) => {
      output = (output + chunk).slice(-kept);
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) options.onLine?.(line);
    };
    child.stdout?.setEncoding('utf8').on('data', take);
    child.stderr?.setEncoding('utf8').on('data', take);
    let kill: NodeJS.Timeout | undefined;
    const stop = () => {
      signalGroup(child, 'SIGTERM');
      kill = setTimeout(() => signalGroup(child, 'SIGKILL'), graceMs);
    };
    options.abort?.addEventListener('abort', stop, { once: true });
    if (options.abort?.aborted) stop();
    child.on('error', (error) => {
      clearTimeout(kill);
      options.abort?.removeEventListener('abort', stop);
      reject(error);
    });
    child.on('close', (code, signal) => {
      clearTimeout(kill);
      options.abort?.removeEventListener('abort', stop);
      resolve({ code, signal, output });
    });
  });
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // It has ended by itself.
  }
}
