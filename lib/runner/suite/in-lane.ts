/** The suite in a machine of the lab, booted again after one that died. */
import { plural } from '../../base/text.ts';
import { LabMachineError, type LaneName } from '../../lab/index.ts';
import { SuiteWorkerError } from '../../suite/errors.ts';
import type { FailedProbes } from '../../suite/run/probes.ts';
import type { Executor } from '../../suite/run/protocol.ts';
import { LaneBoot, type LaneOptions } from './lane-boot.ts';
import { TIME_OVER } from './protocol.ts';

/**
 * Runs items in a machine of the lab. One whose kernel crashed or froze costs its check; the rest runs in a new
 * machine.
 */
export function laneExecutor(lane: LaneName, options: LaneOptions): Executor {
  return async (items, sink) => {
    const ends = performance.now() + options.global.timeout * 1000;
    const failedProbes: FailedProbes = {};
    let left = [...items];
    while (left.length > 0) {
      const timeout = (ends - performance.now()) / 1000;
      if (timeout <= 0) return TIME_OVER;
      const boot = new LaneBoot(left, sink, failedProbes);
      const error = await boot.run(lane, options, timeout).then(
        () => null,
        (thrown: unknown) => thrown,
      );
      const lost = boot.left.length < left.length;
      left = boot.left;
      if (boot.end === 'done' || boot.end === 'stopped') {
        if (error) throw error;
        return null;
      }
      if (boot.end === 'timeout') return TIME_OVER;
      if (boot.end !== 'broken') {
        // Only a machine that died is replaced, and only if that brings the run on.
        if (!(error instanceof LabMachineError)) throw error ?? new SuiteWorkerError('the lab told no end of the run');
        // After the last outcome nothing is left that it could have cost: it ends the run.
        if (!boot.lose(error) && (!lost || left.length === 0)) throw error;
        left = boot.left;
      }
      if (boot.stopped) return null;
      if (left.length > 0) sink.note(`the ${lane} machine is booted again: ${plural(left.length, 'check')} left`);
    }
    return null;
  };
}
