/** `kvm-dsm run --watch`: a script again after each change. */
import type { ChildProcess } from 'node:child_process';
import { relative } from 'node:path';
import { print } from '../target/output.ts';
import { startOwn } from '../target/own-process.ts';
import { paint } from '../target/paint.ts';
import { interruption } from '../target/signals.ts';
import { bundleOptions, nothingFound } from './bundle/bundle.ts';
import type { PublicModules } from './bundle/public-modules.ts';
import { runArguments } from './command-line.ts';
import type { RunCommandOptions } from './options.ts';

/**
 * Runs a script each time it, or what it imports, has changed, until a signal comes; returns the exit code of the last
 * run that came to its end. Each run is a process of its own, and a change ends one that is still going on.
 */
export async function watch(
  path: string,
  script: string,
  args: string[],
  options: RunCommandOptions,
  modules: PublicModules,
): Promise<number> {
  const { context } = await import('esbuild');
  const runs = new WatchedRuns(runArguments(script, args, { ...options, watch: false }), relative(process.cwd(), path));
  const bundle = bundleOptions(path, '', modules, nothingFound());
  const changes = await context({
    ...bundle,
    // What cannot be bundled runs as well: the run says what is wrong, and the next change runs it again.
    plugins: [...bundle.plugins, { name: 'watch', setup: ({ onEnd }) => onEnd(() => runs.next()) }],
  });
  const signalled = new Promise<void>((resolve) => {
    interruption.addEventListener('abort', () => resolve());
    if (interruption.aborted) resolve();
  });
  await changes.watch();
  await signalled;
  await changes.dispose();
  return runs.end();
}

/** One run at a time. */
class WatchedRuns {
  readonly #args: string[];
  readonly #name: string;
  #child: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();
  #wanted = 0;
  #exitCode = 0;

  constructor(args: string[], name: string) {
    this.#args = args;
    this.#name = name;
  }

  /** Ends the run that is going on, and begins another. */
  next(): void {
    const turn = ++this.#wanted;
    this.#child?.kill('SIGTERM');
    this.#ended = this.#ended.then(() => (turn === this.#wanted ? this.#run() : undefined));
  }

  #run(): Promise<void> {
    const child = startOwn(this.#args);
    this.#child = child;
    return new Promise((resolve) => {
      const over = (code: number | null) => {
        this.#child = undefined;
        // One that was ended told so itself, and is no whole run.
        if (code !== null && !child.killed) this.#exitCode = code;
        if (child.signalCode === null && !child.killed)
          print(paint('dim', `waiting for a change of ${this.#name} or of what it imports\n`));
        resolve();
      };
      child.on('exit', over);
      child.on('error', () => over(1));
    });
  }

  /** Ends the run that is going on; returns the exit code of the last that was not ended so. */
  async end(): Promise<number> {
    this.#wanted += 1;
    this.#child?.kill('SIGTERM');
    await this.#ended;
    return this.#exitCode;
  }
}
