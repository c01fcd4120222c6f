/** What a kernel showed of a history, so that the model can be held against it where there is no KVM. */
import { createHash } from 'node:crypto';
import type { Operation, StepSeen } from '../../lib/apic/model/operations.ts';
import { initialState, type ModelOptions, type ModelState, numberOf, pageOf } from '../../lib/apic/model/state.ts';
import { step } from '../../lib/apic/model/step.ts';

/** One operation, and what was to be seen after it. */
export interface RecordedStep {
  operation: Operation;
  /** The vCPU of which kvm_run told something. */
  left: number | null;
  /** `digestOf` what was seen. */
  seen: string;
}

export interface RecordedHistory {
  vcpus: number;
  options: ModelOptions;
  steps: RecordedStep[];
}

/** All that is compared of a machine: by vCPU the page's registers, mp_state, NMIs; and what kvm_run told. */
export interface Snapshot extends StepSeen {
  vcpus: { page: readonly number[]; mpState: number; nmis: number }[];
  left: { apicBase: number; cr8: number; interrupts: number } | null;
}

const TMCCT = numberOf('TMCCT');

/** The same text for the same things seen. */
export function digestOf({ exits, handled, result, ended, delivered, vcpus, left }: Snapshot): string {
  const pages = vcpus.map(({ page, mpState, nmis }) => [
    page.map((word, at) => (at === TMCCT ? 0 : word)),
    mpState,
    nmis,
  ]);
  const sent = exits.map((exit) => Object.values(exit));
  const read = result && [result.low, result.high];
  const after = left && [left.apicBase, left.cr8, left.interrupts];
  const text = JSON.stringify([sent, handled, read, ended, delivered, pages, after]);
  return createHash('sha256').update(text).digest('base64').slice(0, 8);
}

function snapshotOf(options: ModelOptions, seen: StepSeen, { processors }: ModelState, left: number | null): Snapshot {
  const told = left === null ? undefined : processors[left]!;
  return {
    ...seen,
    vcpus: processors.map((one, vcpu) => ({ page: pageOf(one, vcpu, options), mpState: one.mpState, nmis: one.nmis })),
    left: told
      ? { apicBase: told.apicBase >>> 0, cr8: told.page[numberOf('TPR')]! >> 4, interrupts: told.interrupts ? 1 : 0 }
      : null,
  };
}

/** Where the model shows nothing of what was seen: the place of that operation; -1: nowhere. */
export function partsAt({ vcpus, options, steps }: RecordedHistory): number {
  let state = initialState(vcpus);
  for (const [at, { operation, left, seen }] of steps.entries()) {
    let next: ModelState | undefined;
    for (let choice = 0, most = 1; choice < most && !next; choice++) {
      const outcome = step(options, state, operation, choice);
      most = Math.max(most, outcome.choices);
      if (digestOf(snapshotOf(options, outcome.seen, outcome.state, left)) === seen) next = outcome.state;
    }
    if (!next) return at;
    state = next;
  }
  return -1;
}
