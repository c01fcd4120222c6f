/** Runs a user's script inside a machine of the lab. */
import { readFileSync, statSync } from 'node:fs';
import type { Duplex } from 'node:stream';
import { testEnvironment } from '../base/hears-tests.ts';
import { jsonText } from '../base/text.ts';
import { describeTimings, type LaneName, mainInside, nodeInside, Timings } from '../lab/index.ts';
import type { Transport } from '../node/transport.ts';
import { serveLine } from '../node/transports/line.ts';
import { type LaneWork, runInLane } from '../target/in-lane.ts';
import { print } from '../target/output.ts';
import { bundleScript } from './bundle/bundle.ts';
import type { PublicModules } from './bundle/public-modules.ts';
import { assemblyErrors } from './check/assembly.ts';
import { ScriptLostError } from './errors.ts';
import { Judge } from './judge.ts';
import { LAB_FILES } from './lab-files.ts';
import { testFlags } from './node-test.ts';
import { PARSED_RUN, type ParsedRun } from './protocol.ts';
import { ScriptFileError } from './script-file.ts';

/** Where a script's code lies inside a lab machine. */
const CODE = '/run/kvm-dsm/script.js';

/** How much a script may bring along, in bytes: a lab machine has 256 MiB for everything. */
const MOST_ASSETS = 32 << 20;

/** Runs a script inside a lab machine, as it would run on a host there, and returns its exit code. */
export async function runScriptInLane(
  lane: LaneName,
  path: string,
  run: Omit<ParsedRun, 'script' | 'code' | 'imports' | 'tests'>,
  modules: PublicModules,
  joined?: Transport,
): Promise<number> {
  // The bundler is a process of its own: this thread reads the assembly meanwhile.
  const [bundled, [refused]] = await Promise.all([
    bundleScript(path, LAB_FILES, modules),
    assemblyErrors(path, { named: true }),
  ]);
  if (refused) throw refused;
  const { code, imports, assets, tests } = bundled;
  const { kernel: _kernel, cmdline: _cmdline, emulator: _emulator, ...inside } = run.options;
  const options = { ...inside, on: 'host' as const };
  const parsed: ParsedRun = { ...run, options, script: `${LAB_FILES}${path}`, code: CODE, imports, tests };
  const work: LaneWork = {
    what: 'running the script',
    argv: [PARSED_RUN, JSON.stringify(parsed)],
    files: [{ path: CODE, data: code }, ...readAssets(assets)],
    watchesLog: true,
    ...(joined && { nodeLine: (line: Duplex) => serveLine(line, joined) }),
  };
  if (tests) {
    work.env = testEnvironment;
    work.program = [nodeInside, ...testFlags(options.json), mainInside];
  }
  const timings = run.options.timings ? new Timings() : undefined;
  const judge = new Judge(parsed);
  let exitCode = 0;
  let error: unknown;
  try {
    exitCode = await runInLane(lane, work, run.options, { stdout: judge.output, timings, quiet: run.options.quiet });
  } catch (thrown) {
    error = thrown;
  }
  await new Promise<void>((done) => judge.output.end(done));
  // In JSON the result is the last line.
  if (timings && options.json) print(`${jsonText({ type: 'timings', ...timings.report() })}\n`);
  const ended = await judge.end(error, () => new ScriptLostError(`exit code ${exitCode} in the lab`));
  timings?.ended('answer');
  if (timings && !options.json) process.stderr.write(describeTimings(timings.report()));
  return ended;
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
