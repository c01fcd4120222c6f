/**
 * Conditions that no guest of a lane can meet, whatever a check does: no fault with one of them is drawn for that lane. One that
 * is merely hard to meet is.
 */
import type { Op } from './field.ts';
import type { DrawnFault, FaultCondition } from './spec.ts';

/** As the lab calls them. */
export type FaultLane = 'svm' | 'vmx';

export interface Unmeetable {
  /** By the fields' names. */
  field: string;
  op: Op;
  value: number;
  lanes: readonly FaultLane[];
  why: string;
}

export const unmeetable: readonly Unmeetable[] = [
  {
    field: 'last-exit',
    op: 'eq',
    value: 1,
    lanes: ['svm'],
    why: 'KVM_EXIT_EXCEPTION is made in arch/x86/kvm/vmx alone',
  },
  {
    field: 'last-exit',
    op: 'eq',
    value: 10,
    lanes: ['svm', 'vmx'],
    why: 'with KVM_EXIT_INTR KVM_RUN fails by EINTR, and the last exit is that of the last KVM_RUN that returned 0',
  },
];

const about = ({ field, op, value }: FaultCondition, lane: FaultLane) =>
  unmeetable.find(
    (one) => one.lanes.includes(lane) && field.name === one.field && op === one.op && value === one.value,
  );

export const isUnmeetable = (condition: FaultCondition, lane: FaultLane) => about(condition, lane) !== undefined;

/** Why a fault cannot strike on a lane; `null`: nothing is known against it. */
export function whyUnmeetable({ conditions }: DrawnFault, lane: FaultLane): string | null {
  const [found] = conditions.flatMap((condition) => about(condition, lane) ?? []);
  return found?.why ?? null;
}
