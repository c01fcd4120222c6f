import type { Check } from '../../suite/check.ts';
import type { Item, Sink } from '../../suite/run/protocol.ts';
import { type RunEnd, superviseWorkers } from '../../suite/run/supervisor.ts';
import { type PartOptions, SUITE_WORKER } from './protocol.ts';

/** Runs checks on this machine: in processes of this very command. */
export function runItemsLocally(
  items: readonly Item[],
  checks: ReadonlyMap<string, Check>,
  part: PartOptions,
  /** In a machine of the lab: what its kernel's log says before the number of each check that begins. */
  mark: string | null,
  sink: Sink,
  signal?: AbortSignal,
): Promise<RunEnd> {
  const { module, seed, device, profile, timeout, watch, counted, traced, failedProbes = {} } = part;
  const worker = { command: process.execPath, args: [...process.execArgv, process.argv[1]!, SUITE_WORKER] };
  const options = {
    worker,
    module,
    checks,
    seed,
    device,
    profile,
    watch,
    counted,
    traced,
    timeoutMs: timeout * 1000,
    mark,
    endWhenBroken: mark !== null,
    failedProbes,
    signal,
  };
  return superviseWorkers(items, options, sink);
}
