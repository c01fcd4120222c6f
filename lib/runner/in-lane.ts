import { readFileSync, statSync } from 'node:fs';
import { type LaneName, mainInside, nodeInside, runInLab } from '../lab/index.ts';
import type { GlobalOptions } from '../target/options.ts';
import { bundleScript, ScriptFileError } from './bundle/bundle.ts';
import { LAB_FILES } from './lab-files.ts';
import { PARSED_RUN, type ParsedRun } from './parsed-run.ts';
import { testEnvironment, testFlags } from './tests.ts';

/** Where a script's code lies inside a lab machine. */
const CODE = '/run/kvm-dsm/script.js';

/** How much a script may bring along, in bytes: a lab machine has 256 MiB for everything. */
const MOST_ASSETS = 32 << 20;

/** What the lab is to run beside what every command is started with. */
export interface Work {
  argv: readonly string[];
  files?: { path: string; data: string | Uint8Array }[];
  env?: Record<string, string>;
  program?: readonly string[];
}

/** Runs a script inside a lab machine, as it would run on a host there, and returns its exit code. */
export async function runScriptInLane(
  lane: LaneName,
  path: string,
  run: Omit<ParsedRun, 'script' | 'code' | 'tests'>,
): Promise<number> {
  const { code, assets, tests } = await bundleScript(path, LAB_FILES);
  const { kernel: _kernel, cmdline: _cmdline, emulator: _emulator, ...inside } = run.options;
  const options = { ...inside, on: 'host' as const };
  const parsed: ParsedRun = { ...run, options, script: `${LAB_FILES}${path}`, code: CODE, tests };
  const work: Work = {
    argv: [PARSED_RUN, JSON.stringify(parsed)],
    files: [{ path: CODE, data: code }, ...readAssets(assets)],
  };
  if (tests) {
    work.env = testEnvironment;
    work.program = [nodeInside, ...testFlags(options.json), mainInside];
  }
  return runInLane(lane, work, run.options);
}

function readAssets(assets: readonly string[]): { path: string; data: Uint8Array }[] {
  const size = assets.reduce((sum, path) => sum + statSync(path).size, 0);
  if (size > MOST_ASSETS)
    throw new ScriptFileError(
      'ERR_SCRIPT_SIZE',
      `The files that the script names have ${size} bytes together: ${assets.join(', ')}`,
      `The lab takes ${MOST_ASSETS} at most.`,
    );
  return assets.map((path) => ({ path: `${LAB_FILES}${path}`, data: readFileSync(path) }));
}

/** Runs a command without arguments inside a lab machine, as it would run on a host there, and returns its exit code. */
export function runCommandInLane(command: 'doctor' | 'abi', lane: LaneName, options: GlobalOptions): Promise<number> {
  const argv = [command, '--on', 'host', '--profile', options.profile, '--device', options.device];
  return runInLane(lane, { argv: options.json ? [...argv, '--json'] : argv }, options);
}

/** Who takes what the command inside a lab machine says. */
interface Ears {
  stdout: NodeJS.WritableStream;
  onMark?: (word: string, rest: string) => void;
}

/** Runs the command with other arguments inside a lab machine. */
export async function runInLane(
  lane: LaneName,
  work: Work,
  options: GlobalOptions,
  ears: Ears = { stdout: process.stdout },
): Promise<number> {
  const { exitCode } = await runInLab({
    lane,
    ...work,
    ...(options.kernel === undefined ? {} : { kernel: options.kernel }),
    ...(options.cmdline === undefined ? {} : { cmdline: options.cmdline }),
    ...(options.emulator === undefined ? {} : { emulator: options.emulator }),
    timeoutSeconds: options.timeout,
    ...ears,
    stderr: process.stderr,
    report: (line) => process.stderr.write(`${line}\n`),
  });
  return exitCode;
}
