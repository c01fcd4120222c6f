/** The process that runs checks: a job on its standard input, events on its file descriptor 3, where it is told to go on. */
import { readSync, writeFileSync, writeSync } from 'node:fs';
import type { DsmProfile } from '../../abi/dsm/profiles.ts';
import { Kvm } from '../../kvm/kvm.ts';
import { checksById, type Subject } from '../check.ts';
import { FAULT_PARAMETER, NOTICED } from '../faults/fault.ts';
import { metFaults, watchFaults } from '../faults/watch.ts';
import type { TestedHost } from '../kit/needs.ts';
import { CheckKernel, recordingOf } from './check-kernel.ts';
import { gatherFacts } from './facts.ts';
import { judge } from './judge.ts';
import { LineCounters } from './line-counters.ts';
import { checkOf } from './plan.ts';
import { PROBE_WORD, type ProbeName } from './probes.ts';
import type { Job, KernelTold, Outcome, WorkerEvent } from './protocol.ts';
import { runCheck } from './run-check.ts';
import { seedOf } from './seed-of.ts';

const EVENTS = 3;

// Written at once: a check may end this process the next moment.
function tell(event: WorkerEvent): void {
  writeSync(EVENTS, `${JSON.stringify(event)}\n`);
}

/**
 * Waits until the supervisor has looked at the kernel's log: what stands there from now on is of the next check. Its death
 * is this process's end.
 */
function waitForGo(): void {
  if (readSync(EVENTS, Buffer.alloc(1)) === 0) process.exit(0);
}

/** Runs the checks of a job in this process, one after the other, and tells of each. */
export async function work(job: Job, subjects: readonly Subject[], profile: DsmProfile): Promise<void> {
  const checks = checksById(subjects);
  using kvm = Kvm.open(job.device, { profile });
  const begin = (name: ProbeName) => {
    tell({ type: 'probe', name });
    if (job.mark !== null) writeFileSync('/dev/kmsg', `<0>${job.mark} ${PROBE_WORD} ${name}\n`);
  };
  const facts = job.facts ?? gatherFacts(kvm, profile, { failed: job.failedProbes, begin });
  tell({ type: 'facts', facts });
  waitForGo();
  const world: TestedHost = { facts, profile, capability: (cap) => kvm.checkExtension(cap) };
  /** Faults that a check has noticed. */
  const noticed = new Set<string>();
  watchFaults(job.watch);
  const lines = job.counted && new LineCounters(job.counted);
  const recorded = job.traced && job.traced.kernelEvents.length > 0 ? recordingOf(job.traced) : undefined;
  using kernel = recorded && new CheckKernel(recorded);
  for (const item of job.items) {
    tell({ type: 'start', n: item.n });
    if (item.expected !== undefined && noticed.has(item.fault!)) {
      tell({ type: 'outcome', n: item.n, outcome: { kind: 'skip', reason: NOTICED }, ms: 0, exits: 0 });
      waitForGo();
      continue;
    }
    if (job.mark !== null) writeFileSync('/dev/kmsg', `<0>${job.mark} ${item.n} ${item.secret ?? ''}\n`);
    // After what gathered the facts, and between two checks: no VM is there.
    if (item.fault !== undefined) writeFileSync(FAULT_PARAMETER, `${item.fault}\n`);
    const stray = failOnStray(item.n);
    lines?.clear();
    const seed = seedOf(item.id, job.seed + item.round - 1);
    const check = checkOf(checks, item);
    const { outcome, ms, exits, over } = await runCheck(check, world, {
      device: job.device,
      profile,
      seed,
      thorough: item.thorough ?? false,
      traced: job.traced !== undefined,
      kernel,
    });
    stray.done();
    if (
      item.expected !== undefined &&
      judge(check, outcome, { profile: facts.profile, strict: false }).verdict !== item.expected
    )
      noticed.add(item.fault!);
    tell({ type: 'outcome', n: item.n, outcome, ms, exits, ...seenOf(metFaults(job.watch), lines?.read()) });
    if (!over) return tell({ type: 'retire' });
    waitForGo();
  }
}

function seenOf(met: KernelTold['met'], counters: KernelTold['counters']): { seen?: KernelTold } {
  if (met === undefined && counters === undefined) return {};
  return { seen: { ...(met && { met }), ...(counters && { counters }) } };
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
