import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { profileByName } from '../abi/dsm/profiles.ts';
import { ArgumentError } from '../base/errors.ts';
import { bundleScript, findScript } from '../runner/bundle/bundle.ts';
import type { ParsedRun } from '../runner/parsed-run.ts';
import { hearsTests } from '../runner/tests.ts';
import type { RunOptions } from '../target/options.ts';
import { choosePlace, here } from '../target/target.ts';

/** `kvm-dsm run`: returns the exit code. */
export async function run(script: string, args: string[], options: RunOptions): Promise<number> {
  const path = findScript(script);
  profileByName(options.profile);
  if (options.watch && options.json)
    throw new ArgumentError('--watch', 'A watch has no end, and --json ends with a result', 'Leave one of them out.');
  const place = choosePlace(options);
  if (options.watch) {
    const { watch } = await import('../runner/watch.ts');
    return watch(path, script, args, options);
  }
  const { again } = await import('../target/command-words.ts');
  const command = again(script, args, { ...options, on: place });
  const parsed = { args, options, again: command, part: false };
  if (place !== 'host') {
    const { runScriptInLane } = await import('../runner/in-lane.ts');
    return runScriptInLane(place, path, parsed);
  }
  // Inside the lab there is no bundler: a module that node can import does without.
  const bundle = here.on === 'host' ? await bundleScript(path, '') : { code: undefined, tests: false };
  const ready: ParsedRun = { ...parsed, script: path, code: undefined, tests: bundle.tests };
  return bundle.tests
    ? withCodeFile(bundle.code!, (code) => runReady({ ...ready, code }, bundle.code))
    : runReady(ready, bundle.code);
}

/** A run whose command line another process has read. */
export async function runParsed(json: string): Promise<number> {
  const parsed = JSON.parse(json) as ParsedRun;
  return runReady(parsed, parsed.code && readFileSync(parsed.code, 'utf8'));
}

async function runReady(run: ParsedRun, code: string | undefined): Promise<number> {
  const { runsHere, partHere } = await import('../runner/run-here.ts');
  if (run.part) return partHere(run, code);
  // Node's test runner has one end for all tests of a process: each run has a process of its own.
  const apart = run.tests && (run.options.repeat > 1 || !hearsTests);
  if (!apart) return runsHere(run, code);
  const { runsApart } = await import('../runner/run-apart.ts');
  return runsApart(run);
}

/** Gives other processes the code as a file, for as long as `action` takes. */
async function withCodeFile(code: string, action: (path: string) => Promise<number>): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), 'kvm-dsm-'));
  try {
    const path = join(directory, 'script.js');
    writeFileSync(path, code);
    return await action(path);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
