import type { Check } from '../suite/check.ts';
import type { Item, Sink } from '../suite/run/protocol.ts';
import { type RunEnd, superviseWorkers } from '../suite/run/supervisor.ts';
import { SUITE_WORKER } from './test-options.ts';

/** What the part of a run that is done on one machine depends on. */
export interface PartOptions {
  /** The absolute path of a module of checks; `null`: the suite's own. */
  module: string | null;
  seed: number;
  device: string;
  profile: string;
  /** Seconds. */
  timeout: number;
}

/** Runs checks on this machine: in processes of this very command. */
export function testHere(
  items: readonly Item[],
  checks: ReadonlyMap<string, Check>,
  part: PartOptions,
  /** In a machine of the lab: what its kernel's log says before the number of each check that begins. */
  mark: string | null,
  sink: Sink,
): Promise<RunEnd> {
  const { module, seed, device, profile, timeout } = part;
  const worker = { command: process.execPath, args: [...process.execArgv, process.argv[1]!, SUITE_WORKER] };
  const options = {
    worker,
    module,
    checks,
    seed,
    device,
    profile,
    timeoutMs: timeout * 1000,
    mark,
    endWhenBroken: mark !== null,
  };
  return superviseWorkers(items, options, sink);
}
