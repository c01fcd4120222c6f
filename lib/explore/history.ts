/** A history, tried on the kernel and on the model at once: up to the first difference. */
import type { Operation } from '../apic/model/operations.ts';
import { initialState, type ModelOptions, type ModelState } from '../apic/model/state.ts';
import { step as doStep, type StepOutcome } from '../apic/model/step.ts';
import { agrees, type Difference, differences } from './compare.ts';
import type { Rig, Shown } from './rig.ts';
import { isLost, operationsOf, type Step } from './steps.ts';

/** Where the kernel and the model part. */
export interface Parting {
  /** What was done up to it, the last one included. */
  operations: Operation[];
  /** Before each of them. */
  states: ModelState[];
  differences: Difference[];
}

/** Most outcomes that one operation may have: who takes it, what becomes of TPR, and when KVM looks at the timer. */
const MOST_CHOICES = 256;

/**
 * Tries a history from the beginning; `null`: the two agree.
 *
 * @param onShown is told of each operation that was done, when `rig.seen` has what came of it
 */
export function tryHistory(
  rig: Rig,
  options: ModelOptions,
  steps: readonly Step[],
  onShown: (operation: Operation, shown: Shown) => void = () => {},
): Parting | null {
  rig.reset();
  let state = initialState(rig.vcpus.length);
  const operations: Operation[] = [];
  const states: ModelState[] = [];
  for (const one of steps)
    for (const operation of operationsOf(state, one, rig.frailty)) {
      const first = doStep(options, state, operation);
      if (isLost(options, operation, first.seen.ended)) continue;
      operations.push(operation);
      states.push(state);
      const shown = rig.do(operation, first.seen);
      rig.look();
      onShown(operation, shown);
      let outcome: StepOutcome | null = first;
      let most = first.choices;
      for (let choice = 1; outcome && !agrees(options, outcome, shown, rig); choice++) {
        outcome = choice < Math.min(most, MOST_CHOICES) ? doStep(options, state, operation, choice) : null;
        most = Math.max(most, outcome?.choices ?? 0);
      }
      const found = outcome ? started(rig, outcome) : closest(rig, options, state, operation, most, shown);
      if (!outcome || found.length > 0) return { operations, states, differences: found };
      state = outcome.state;
    }
  return null;
}

/** What differs, from the outcome that comes next to it. */
function closest(
  rig: Rig,
  options: ModelOptions,
  state: ModelState,
  operation: Operation,
  most: number,
  shown: Parameters<typeof differences>[2],
): Difference[] {
  const all = Array.from({ length: Math.min(most, MOST_CHOICES) }, (_, choice) =>
    differences(options, doStep(options, state, operation, choice, true), shown, rig),
  );
  return all.reduce((best, one) => (one.length < best.length ? one : best));
}

/** Those that INIT has reset or SIPI has started are where they begin; then they go on with the program. */
function started(rig: Rig, { started, state }: StepOutcome): Difference[] {
  const found: Difference[] = [];
  for (const [vcpu, vector] of started) {
    rig.strayed(vcpu);
    if (state.processors[vcpu]!.mpState !== 0) continue;
    const { base, rip } = rig.start(vcpu);
    // The boot processor's reset vector.
    const [wantedBase, wantedRip] = vector === -1 ? [0xffff_0000, 0xfff0] : [vector * 0x1000, 0];
    if (base === wantedBase && rip === wantedRip) continue;
    const at = (code: number, offset: number) => `${code.toString(16)}:${offset.toString(16)}`;
    const [kernel, model] = [at(base, rip), at(wantedBase, wantedRip)];
    found.push({ vcpu, field: 'start address', kernel, model, bits: [], rule: vector === -1 ? 'init' : 'sipi' });
  }
  return found;
}
