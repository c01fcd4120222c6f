/** Who runs the suite's checks: this machine, or a lane. */
import { Kvm } from '../../kvm/kvm.ts';
import type { Timings } from '../../lab/timings.ts';
import type { Check } from '../../suite/check.ts';
import { recordingOf, type Traced } from '../../suite/run/check-kernel.ts';
import type { Executor } from '../../suite/run/protocol.ts';
import { sparing } from '../../suite/run/run.ts';
import { type PlaceMaker, sideBySide } from '../../suite/run/side-by-side.ts';
import type { GlobalOptions } from '../../target/options.ts';
import { interruption } from '../../target/signals.ts';
import type { Target } from '../../target/target.ts';
import { bundleModule } from '../bundle/module.ts';
import { findScript } from '../script-file.ts';
import { runItemsLocally } from './local.ts';
import type { TestOptions } from './options.ts';
import { TIME_OVER } from './protocol.ts';

/** What an executor is made for. */
export interface ExecutorOptions {
  checks: ReadonlyMap<string, Check>;
  /** The absolute path, here, of a module of checks; `null`: the suite's own. */
  module: string | null;
  seed: number;
  own: TestOptions;
  global: GlobalOptions;
  /** Files of KVM's whose lines are counted. */
  counted?: readonly string[] | undefined;
  /** Is told when each phase of a lane ends. */
  timings?: Timings | undefined;
}

/** Runs checks on the target; those that may take its kernel down only in the lab, and only with `--destructive`. */
export async function executorFor(target: Target, options: ExecutorOptions): Promise<Executor> {
  if (target === 'host') return sparing(hostExecutor(options), options.checks);
  const executor = await laneExecutorFor(target, options);
  return options.own.destructive ? executor : sparing(executor, options.checks);
}

const tracedOf = ({ trace, kernelEvents = [] }: TestOptions): Traced | undefined =>
  trace === undefined ? undefined : { kernelEvents };

async function laneExecutorFor(lane: Exclude<Target, 'host'>, options: ExecutorOptions): Promise<Executor> {
  const { seed, own, global, counted, timings } = options;
  const [{ laneExecutor }, { machinesFor }, { packageInside }] = await Promise.all([
    import('./in-lane.ts'),
    import('./machines.ts'),
    import('../../lab/index.ts'),
  ]);
  const { strict, bail, checks, quiet } = own;
  const module = checks === undefined ? null : await bundleModule(findScript(checks), `${packageInside}/dist/index.js`);
  const common = { global, seed, strict, bail, module, quiet, counted, traced: tracedOf(own) };
  return (items, sink) => {
    const machine: PlaceMaker = (place, signal) =>
      laneExecutor(lane, place === 0 ? { ...common, timings, signal } : { ...common, isAnother: true, signal });
    return sideBySide(machinesFor(lane, own, items.length), machine, interruption)(items, sink);
  };
}

/** Throws what `Kvm.open` throws if there is no KVM. */
function hostExecutor({ checks, module, seed, own, global: { device, profile, timeout } }: ExecutorOptions): Executor {
  Kvm.open(device).close();
  const { kernelEvents } = own;
  if (kernelEvents) recordingOf({ kernelEvents }).close();
  return async (items, sink) => {
    const part = { module, seed, device, profile, timeout, traced: tracedOf(own) };
    const end = await runItemsLocally(items, checks, part, null, sink, interruption);
    return end === 'timeout' ? TIME_OVER : null;
  };
}
