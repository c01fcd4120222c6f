/** `kvm-dsm run`: what is to be run, and where. */
import { randomBytes } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ArgumentError, KvmDsmError } from '../base/errors.ts';
import { hearsTests } from '../base/hears-tests.ts';
import { temporary, temporaryFolder } from '../base/temporary.ts';
import { jsonText } from '../base/text.ts';
import type { Transport } from '../node/transport.ts';
import { doing } from '../target/doing.ts';
import { print } from '../target/output.ts';
import { paint } from '../target/paint.ts';
import { checkProfileName } from '../target/profile-name.ts';
import { errorToJson } from '../target/report-error.ts';
import { orInterruption, withSignals } from '../target/signals.ts';
import { chooseTarget, currentTarget, timingsOnHost } from '../target/target.ts';
import type { PublicModules } from './bundle/public-modules.ts';
import { kernelEventsWithoutTrace, type RunCommandOptions } from './options.ts';
import type { ParsedRun } from './protocol.ts';
import { findScript } from './script-file.ts';

/**
 * `kvm-dsm run`: runs a script where the options say, and returns the exit code. With `--json` it ends with a result, whatever happens.
 *
 * @param joined what joins it with others, if it is one shard of several
 */
export async function runScript(
  script: string,
  args: string[],
  options: RunCommandOptions,
  modules: PublicModules,
  joined?: Transport,
): Promise<number> {
  doing('making the script ready');
  try {
    return await run(script, args, options, modules, joined);
  } catch (thrown) {
    const error = await orInterruption(thrown);
    if (!options.json) throw error;
    // The script has not begun: nothing has been told yet.
    print(`${jsonText({ type: 'result', ok: false, exits: 0, error: errorToJson(error) })}\n`);
    if (error instanceof ArgumentError) return USAGE;
    return error instanceof KvmDsmError ? error.exitCode : 1;
  }
}

const USAGE = 2;

async function run(
  script: string,
  args: string[],
  options: RunCommandOptions,
  modules: PublicModules,
  joined: Transport | undefined,
): Promise<number> {
  const path = findScript(script);
  checkProfileName(options.profile);
  if (options.watch && options.json)
    throw new ArgumentError('--watch', 'A watch has no end, and --json ends with a result', 'Leave one of them out.');
  if (options.watch && options.trace !== undefined)
    throw new ArgumentError('--watch', 'A watch has no end, and --trace writes one run', 'Leave one of them out.');
  if (options.kernelEvents && options.trace === undefined) throw kernelEventsWithoutTrace('<file>');
  const target = chooseTarget(options);
  if (options.timings && target === 'host') throw timingsOnHost();
  if (options.watch) {
    const { watch } = await import('./watch.ts');
    return withSignals(() => watch(path, script, args, options, modules));
  }
  const { commandLineOf } = await import('./command-line.ts');
  const commandLine = commandLineOf(script, args, { ...options, on: target });
  const secret = randomBytes(6).toString('hex');
  const parsed = { args, options, commandLine, ownProcess: false, secret, colours: paint('red', ' ') !== ' ' };
  if (target !== 'host') {
    const { runScriptInLane } = await import('./in-lane.ts');
    return withSignals(() => runScriptInLane(target, path, parsed, modules, joined));
  }
  // Inside the lab there is no bundler: a module that node can import does without.
  if (currentTarget.on !== 'host')
    return runReady(
      { ...parsed, secret: null, script: path, code: undefined, imports: [], tests: false },
      undefined,
      modules,
    );
  const { bundleScript } = await import('./bundle/bundle.ts');
  const { code, imports, tests } = await withSignals(() => bundleScript(path, '', modules));
  const ready: ParsedRun = { ...parsed, script: path, code: undefined, imports, tests };
  return withCodeFile(code, async (file) => {
    // A debugger is for the script, and this process has it.
    if (isDebugged) return runReady({ ...ready, code: file, secret: null, colours: false }, code, modules);
    const { runOnHost } = await import('./on-host.ts');
    return withSignals(() => runOnHost({ ...ready, code: file }, joined));
  });
}

/** A debugger has this process. */
export const isDebugged = [...process.execArgv, process.env.NODE_OPTIONS ?? ''].some((word) =>
  word.includes('--inspect'),
);

/** A run whose command line another process has read. */
export async function runParsed(json: string, modules: PublicModules): Promise<number> {
  const parsed = JSON.parse(json) as ParsedRun;
  return runReady(parsed, parsed.code && readFileSync(parsed.code, 'utf8'), modules);
}

async function runReady(run: ParsedRun, code: string | undefined, modules: PublicModules): Promise<number> {
  const { runInProcess, runAsPart } = await import('./in-process.ts');
  if (run.ownProcess) return runAsPart(run, code, modules);
  // Node's test runner has one end for all tests of a process: each run has a process of its own.
  const ownProcesses = run.tests && (run.options.repeat > 1 || !hearsTests);
  if (!ownProcesses) return runInProcess(run, code, modules);
  const { runInOwnProcesses } = await import('./own-process-runs.ts');
  return runInOwnProcesses(run);
}

/** Gives other processes the code as a file, for as long as `action` takes. */
async function withCodeFile(code: string, action: (path: string) => Promise<number>): Promise<number> {
  const directory = temporaryFolder();
  try {
    const path = join(directory, 'script.js');
    temporary(() => writeFileSync(path, code));
    return await action(path);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
