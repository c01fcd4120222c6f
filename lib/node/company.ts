/**
 * Who the shards of a machine are, as a pure state machine: each says which vCPUs it runs and whom it sees. They are complete when each
 * vCPU is one shard's and all of them say that they see the same ones. It knows no clock and no transport.
 */
import type { CompanyWord, LeftHow } from './words.ts';

/** A shard that has said nothing for so long, in ms, is no longer there as long as the company is not complete. */
export const PRESENT = 3000;

interface Known {
  word: CompanyWord;
  /** When it was heard last. */
  at: number;
}

export interface CompanyState {
  readonly shard: string;
  readonly vcpus: readonly number[];
  readonly of: number;
  n: number;
  sees: readonly string[];
  left: LeftHow;
  /** Of the others. */
  readonly known: Map<string, Known>;
  /** All of them in the order of their vCPUs, once that is agreed on: it stays so. */
  members: readonly CompanyWord[] | null;
}

/** What keeps a company from being complete. */
export interface Lack {
  /** vcpu_id of those that nobody runs. */
  readonly missing: readonly number[];
  /** vcpu_id of those that several run. */
  readonly doubled: readonly number[];
  /** How many vCPUs others say that the machine has. */
  readonly sizes: readonly number[];
  /** vcpu_id of those whose shards have begun with somebody else. */
  readonly begun: readonly number[];
}

export function newCompany(shard: string, vcpus: readonly number[], of: number): CompanyState {
  return { shard, vcpus, of, n: 0, sees: [], left: 'no', known: new Map(), members: null };
}

/** What this shard says now. */
export function wordOf(state: CompanyState): CompanyWord {
  const { shard, vcpus, of, sees, left } = state;
  state.n += 1;
  const gone = [...state.known.values()].filter(({ word }) => word.left !== 'no').map(({ word }) => word.shard);
  return { shard, n: state.n, vcpus, of, sees, left, gone };
}

/** Takes what a shard says. True if that is news. */
export function hear(state: CompanyState, word: CompanyWord, now: number): boolean {
  if (word.shard === state.shard) return false;
  const known = state.known.get(word.shard);
  if (known && known.word.n >= word.n) return false;
  // Nobody else counts any more, and nobody's vCPUs change.
  if (state.members && !known) return false;
  state.known.set(word.shard, { word, at: now });
  return look(state, now) || known === undefined || known.word.left !== word.left;
}

/** Time has passed. True if what this shard says has changed. */
export function look(state: CompanyState, now: number): boolean {
  if (state.members) return false;
  const all = [wordNow(state), ...present(state, now)];
  const before = state.sees.join();
  state.sees = isComplete(all, state.of) ? all.map(({ shard }) => shard).sort() : [];
  const seen = state.sees.join();
  if (seen !== '' && all.slice(1).every(({ sees }) => sees.join() === seen))
    state.members = [...all].sort((a, b) => a.vcpus[0]! - b.vcpus[0]!);
  return seen !== before || state.members !== null;
}

const wordNow = (state: CompanyState): CompanyWord => ({ ...state, n: 0, gone: [] });

function present({ known }: CompanyState, now: number): CompanyWord[] {
  return [...known.values()].filter(({ word, at }) => word.left === 'no' && now - at < PRESENT).map(({ word }) => word);
}

function isComplete(all: readonly CompanyWord[], of: number): boolean {
  const vcpus = all.flatMap((word) => word.vcpus);
  return all.every((word) => word.of === of) && vcpus.length === of && new Set(vcpus).size === of;
}

export function lackOf(state: CompanyState, now: number): Lack {
  const others = present(state, now);
  const run = [state.vcpus, ...others.filter(({ of }) => of === state.of).map(({ vcpus }) => vcpus)].flat();
  const all = Array.from({ length: state.of }, (_, vcpu) => vcpu);
  return {
    missing: all.filter((vcpu) => !run.includes(vcpu)),
    doubled: all.filter((vcpu) => run.filter((own) => own === vcpu).length > 1),
    sizes: [...new Set(others.map(({ of }) => of).filter((of) => of !== state.of))],
    begun: others.filter(({ sees }) => sees.length > 0 && !sees.includes(state.shard)).flatMap(({ vcpus }) => vcpus),
  };
}

/** By vcpu_id: the node that runs it. The company is complete. */
export function homesOf(members: readonly CompanyWord[], of: number): number[] {
  return Array.from({ length: of }, (_, vcpu) => members.findIndex(({ vcpus }) => vcpus.includes(vcpu)));
}

/** Whether a member has left, as far as is known. */
export function leftOf(state: CompanyState, shard: string): LeftHow {
  return state.known.get(shard)?.word.left ?? 'no';
}

/** Every other member knows that this shard has left, or has left itself. */
export function isLeaveKnown(state: CompanyState): boolean {
  return (state.members ?? []).every(({ shard }) => {
    const word = state.known.get(shard)?.word;
    return shard === state.shard || word === undefined || word.left !== 'no' || word.gone.includes(state.shard);
  });
}
