/**
 * How far the nodes of a machine have come in its runs, as a pure state machine. Each says its stage; the first node asks all whether they are
 * idle, and a run that ends when all are idle is over when two questions in a row have found so and nothing has happened in between.
 */
import type { IdleAnswer, StageWord, ToldCounts } from './words.ts';

/** What a node has reached in a run, in this order. */
const parts = ['ready', 'told', 'stopped', 'quiet'] as const;
/**
 * ready: its vCPUs have their programs. told: all know its local APICs. stopped: its vCPUs are out of the guest. quiet: nothing of it is on
 * its way.
 */
export type RunPart = (typeof parts)[number];

/** @param run from 1 */
export const stageOf = (run: number, part: RunPart): number => run * parts.length + parts.indexOf(part);

export interface StagesState {
  readonly shard: string;
  readonly node: number;
  /** By node: its shard. */
  readonly shards: readonly string[];
  n: number;
  stage: number;
  probe: number;
  answer: IdleAnswer | null;
  /** Of the first node: by node, what the question before the present one found. */
  before: readonly IdleAnswer[] | null;
  counts: ToldCounts | null;
  readonly known: Map<number, StageWord>;
}

export function newStages(node: number, shards: readonly string[]): StagesState {
  const shard = shards[node]!;
  return {
    ...{ shard, node, shards, n: 0, stage: 0, probe: 0 },
    ...{ answer: null, before: null, counts: null, known: new Map() },
  };
}

export function wordOf(state: StagesState): StageWord {
  const { shard, node, stage, probe, answer, counts } = state;
  state.n += 1;
  return { shard, node, n: state.n, stage, probe, answer, counts };
}

/** Takes what a node says. False if it is none of this machine's, or an old word. */
export function hear(state: StagesState, word: StageWord): boolean {
  if (word.node === state.node || state.shards[word.node] !== word.shard) return false;
  const known = state.known.get(word.node);
  if (known && known.n >= word.n) return false;
  state.known.set(word.node, word);
  return true;
}

/** The other nodes that have not come so far. */
export function behind(state: StagesState, stage: number): number[] {
  return state.shards.flatMap((_, node) =>
    node === state.node || (state.known.get(node)?.stage ?? 0) >= stage ? [] : [node],
  );
}

/** A node has come so far. */
export function anyAt(state: StagesState, stage: number): boolean {
  return [...state.known.values()].some((word) => word.stage >= stage);
}

/** The number of the present question. */
export function question(state: StagesState): number {
  return state.node === 0 ? state.probe : (state.known.get(0)?.probe ?? 0);
}

/** A run begins: what was answered before says nothing of it. */
export function beginRun(state: StagesState): void {
  state.answer = null;
  state.before = null;
  if (state.node === 0) state.probe += 1;
}

/** Answers the present question. True if that is news. */
export function answer(state: StagesState, idle: boolean, activity: number): boolean {
  const probe = question(state);
  if (probe === 0 || state.answer?.probe === probe) return false;
  state.answer = { probe, idle, activity };
  return true;
}

/** Of the first node: true if all are idle for good; when all have answered and it is not so, it asks again. */
export function areAllIdle(state: StagesState): boolean {
  if (state.node !== 0) return false;
  const answers = state.shards.map((_, node) => (node === 0 ? state.answer : (state.known.get(node)?.answer ?? null)));
  if (!answers.every((one) => one !== null && one.probe === state.probe)) return false;
  const found = answers as readonly IdleAnswer[];
  const { before } = state;
  const areIdle = found.every(({ idle }) => idle);
  if (areIdle && before?.every(({ idle, activity }, node) => idle && activity === found[node]!.activity)) return true;
  state.before = found;
  state.probe += 1;
  return false;
}
