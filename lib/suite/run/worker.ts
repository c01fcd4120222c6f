import { writeFileSync, writeSync } from 'node:fs';
import type { DsmProfile } from '../../abi/dsm/profiles.ts';
import { Kvm } from '../../kvm/kvm.ts';
import { checksById, type Subject } from '../check.ts';
import { FAULT_PARAMETER } from '../faults/table.ts';
import type { World } from '../kit/needs.ts';
import { type Facts, gatherFacts } from './facts.ts';
import { runCheck } from './one.ts';
import { checkOf, type Item } from './plan.ts';
import { seedOf } from './seed-of.ts';
import type { Outcome } from './verdict.ts';

/** What a worker process is told: on its standard input, as JSON. */
export interface Job {
  items: Item[];
  seed: number;
  device: string;
  profile: string;
  /** A module of checks instead of the suite's own. */
  module: string | null;
  /** What is written to the kernel's log before the number of each check that begins. */
  mark: string | null;
  /** What another worker of this run has found out. */
  facts: Facts | null;
}

/** What a worker process tells: lines of JSON on its file descriptor 3. */
export type WorkerEvent =
  | { type: 'facts'; facts: Facts }
  | { type: 'start'; n: number }
  | { type: 'outcome'; n: number; outcome: Outcome; ms: number; exits: number }
  /** The process ends here by itself: the next check belongs into a new one. */
  | { type: 'retire' };

const EVENTS = 3;

// Written at once: a check may end this process the next moment.
function tell(event: WorkerEvent): void {
  writeSync(EVENTS, `${JSON.stringify(event)}\n`);
}

/** Runs the checks of a job in this process, one behind the other, and tells of each. */
export async function work(job: Job, subjects: readonly Subject[], profile: DsmProfile): Promise<void> {
  const checks = checksById(subjects);
  using kvm = Kvm.open(job.device, { profile });
  const facts = job.facts ?? gatherFacts(kvm, profile);
  tell({ type: 'facts', facts });
  const world: World = { facts, capability: (cap) => kvm.checkExtension(cap) };
  for (const item of job.items) {
    tell({ type: 'start', n: item.n });
    if (job.mark !== null) writeFileSync('/dev/kmsg', `<0>${job.mark} ${item.n}\n`);
    // Behind what gathered the facts, and between two checks: no VM is there.
    if (item.fault !== undefined) writeFileSync(FAULT_PARAMETER, `${item.fault}\n`);
    const stray = failOnStray(item.n);
    const seed = seedOf(item.id, job.seed + item.round - 1);
    const { outcome, ms, exits, over } = await runCheck(checkOf(checks, item), world, {
      device: job.device,
      profile,
      seed,
    });
    stray.done();
    tell({ type: 'outcome', n: item.n, outcome, ms, exits });
    if (!over) return tell({ type: 'retire' });
  }
}

/** An error that nobody waited for fails the check that runs, and ends the process: its state is not known any more. */
function failOnStray(n: number): { done(): void } {
  const began = performance.now();
  const stray = (error: unknown): never => {
    const [reason = ''] = String(error).split('\n');
    const detail = error instanceof Error ? (error.stack ?? '') : '';
    const outcome: Outcome = {
      kind: 'fail',
      cause: 'error',
      reason: `an error outside of the check's run: ${reason}`,
      detail,
    };
    tell({ type: 'outcome', n, outcome, ms: Math.round(performance.now() - began), exits: 0 });
    tell({ type: 'retire' });
    process.exit(0);
  };
  process.once('uncaughtException', stray);
  return { done: () => process.off('uncaughtException', stray) };
}
