/** Runs the suite against faults of the lab's kernel: as many as possible in one boot. */

import type { LaneName } from '../../lib/lab/index.ts';
import { laneExecutor } from '../../lib/runner/suite/in-lane.ts';
import type { Check } from '../../lib/suite/check.ts';
import { SuiteWorkerError } from '../../lib/suite/errors.ts';
import { judge } from '../../lib/suite/run/judge.ts';
import { checkOf } from '../../lib/suite/run/plan.ts';
import type { Item, Sink } from '../../lib/suite/run/protocol.ts';
import type { GlobalOptions } from '../../lib/target/options.ts';
import { version } from '../../lib/target/version.ts';
import type { MutantRecord } from './record.ts';
import '../support/own-session.ts';

const NONE = 'none';

export interface MutantRun {
  lane: LaneName;
  /** Names of faults. */
  faults: readonly string[];
  /** Ids of checks, and all that there are. */
  ids: readonly string[];
  /** By fault: which of these run under it. Default: all. */
  only?: ReadonlyMap<string, readonly string[]> | undefined;
  checks: ReadonlyMap<string, Check>;
  /** The text of a module that exports them as `subjects`; `null`: they are the suite's own. */
  module: string | null;
  seed: number;
  options: GlobalOptions;
  /** Called when the last check under a fault, or without one, has ended. */
  onFault(name: string, record: MutantRecord, seconds: number): void;
  note(text: string): void;
}

type Sent = Item & { fault: string };

/**
 * Runs every check without a fault and then under each. A machine that dies is booted again for the next fault: the
 * other checks under the fault that killed it do not run.
 *
 * @throws what the lab throws; SuiteWorkerError if the machine dies without a fault, or has no faults
 */
export async function runMutants(run: MutantRun): Promise<MutantRecord> {
  const { lane, faults, ids, only, checks, module, seed, options, onFault, note } = run;
  const record: MutantRecord = {
    version: 1,
    on: lane,
    profile: options.profile,
    kernel: 'unknown',
    package: version(),
    seed,
    baseline: {},
    faults: Object.fromEntries(faults.map((name) => [name, {}])),
    wedged: {},
  };
  let left: Sent[] = [NONE, ...faults]
    .flatMap((fault) => (only?.get(fault) ?? ids).map((id) => ({ id, fault })))
    .map(({ id, fault }, n) => ({ n, id, fault, round: 1 }));
  /** Whose outcome came last. */
  let last: Sent | undefined;
  let began = performance.now();

  const verdictsOf = (fault: string) => (fault === NONE ? record.baseline : record.faults[fault]!);
  const over = (fault: string) => {
    onFault(fault, record, (performance.now() - began) / 1000);
    began = performance.now();
  };
  const sink: Sink = {
    facts(facts) {
      record.kernel = `${facts.kernel} ${facts.build}`;
    },
    start() {},
    outcome(item, outcome, ms) {
      last = left.find(({ n }) => n === item.n)!;
      const { verdict, cause, reason } = judge(checkOf(checks, item), outcome, {
        profile: options.profile,
        strict: false,
      });
      verdictsOf(last.fault)[item.id] = { verdict, cause, reason, ms };
      left = left.filter(({ n }) => n !== item.n);
      if (!left.some(({ fault }) => fault === last!.fault)) over(last.fault);
      // It has no more to do when the machine dies: then the other checks under this fault are left out.
      return false;
    },
    note,
  };

  while (left.length > 0) {
    const before = left.length;
    const why = await laneExecutor(lane, { global: options, seed, strict: false, bail: false, module })(left, sink);
    if (why !== null) throw new SuiteWorkerError(`not every fault was tried: ${why}`);
    if (left.length === 0) break;
    // A machine that dies between two checks dies of the one that was to come.
    const died = last && ['oops', 'deadline'].includes(verdictsOf(last.fault)[last.id]?.cause ?? '') ? last : left[0]!;
    if (died.fault === NONE || left.length === before)
      throw new SuiteWorkerError(`the ${lane} machine dies without a fault, in ${died.id}`);
    record.wedged[died.fault] = died.id;
    if (left.some(({ fault }) => fault === died.fault)) {
      left = left.filter(({ fault }) => fault !== died.fault);
      over(died.fault);
    }
    note(`${died.fault} took the ${lane} machine down in ${died.id}: it is booted again for the next fault`);
  }
  return record;
}
