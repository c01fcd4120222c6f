/** What shards of a machine say of themselves, each again and again: one JSON text a message. Nothing is used before all of it was checked. */
import { checkText } from '../base/check.ts';
import { ArgumentError } from '../base/errors.ts';
import { boolean, integer, listOf, oneOf, orNull, shape, type ValueCheck } from '../base/shape.ts';
import { MAX_NODES, MAX_VCPUS } from './envelope.ts';

/** Whether a shard is still there, and if not, how its script has ended. */
export type LeftHow = 'no' | 'ended' | 'failed';

/** Who a shard is, and who it sees. */
export interface CompanyWord {
  /** Of this process alone. */
  readonly shard: string;
  /** Its first word is 1: an older one that comes late says nothing. */
  readonly n: number;
  /** vcpu_id of each that it runs. */
  readonly vcpus: readonly number[];
  /** How many vCPUs the machine has. */
  readonly of: number;
  /** All shards, sorted, once each vCPU has one; empty before. */
  readonly sees: readonly string[];
  readonly left: LeftHow;
  /** The shards of which it has heard that they have left. */
  readonly gone: readonly string[];
}

/** What a node has counted, as it tells the others. */
export interface ToldCounts {
  readonly sent: number;
  readonly forwarded: number;
  readonly replayed: number;
  readonly untaken: number;
  readonly published: number;
  readonly arrived: number;
  readonly resent: number;
  readonly doubled: number;
}

/** How far a node has come in the runs of one machine. */
export interface StageWord {
  readonly shard: string;
  readonly node: number;
  readonly n: number;
  readonly stage: number;
  /** Of the first node: which question is the present one. */
  readonly probe: number;
  /** The answer to the last question that it has answered. */
  readonly answer: IdleAnswer | null;
  readonly counts: ToldCounts | null;
}

/** Whether a node's vCPUs are idle and nothing is on its way from here, and how much has happened up to now. */
export interface IdleAnswer {
  readonly probe: number;
  readonly idle: boolean;
  readonly activity: number;
}

const LONGEST_WORD = 32_768;
const WORD_VERSION = 1;

const count = integer(0, Number.MAX_SAFE_INTEGER);

const shard: ValueCheck<string> = (argument, value) => {
  if (/^[\w-]{1,64}$/.test(checkText(argument, value as string))) return value as string;
  throw new ArgumentError(argument, `${argument} is no shard`, 'Give letters, digits and dashes, 64 at most.');
};

type Wire<T> = T & { readonly v: number; readonly vm: string };

const vm: ValueCheck<string> = (argument, value) => checkText(argument, value as string);
const always = { v: oneOf([WORD_VERSION]), vm, shard, n: count };

const companyWord = shape<Wire<CompanyWord>>('a shard says', {
  ...always,
  vcpus: listOf(integer(0, MAX_VCPUS - 1), MAX_VCPUS),
  of: integer(1, MAX_VCPUS),
  sees: listOf(shard, MAX_NODES),
  left: oneOf(['no', 'ended', 'failed']),
  gone: listOf(shard, MAX_NODES),
});

const counts = shape<ToldCounts>('counts are', {
  ...{ sent: count, forwarded: count, replayed: count, untaken: count },
  ...{ published: count, arrived: count, resent: count, doubled: count },
});

const stageWord = shape<Wire<StageWord>>('a node says', {
  ...always,
  node: integer(0, MAX_NODES - 1),
  stage: count,
  probe: count,
  answer: orNull(shape<IdleAnswer>('an answer has', { probe: count, idle: boolean, activity: count })),
  counts: orNull(counts),
});

const words = { company: companyWord, stage: stageWord } as const;
interface WordOf {
  company: CompanyWord;
  stage: StageWord;
}

export function encodeWord(of: string, word: CompanyWord | StageWord): Uint8Array {
  return Buffer.from(JSON.stringify({ v: WORD_VERSION, vm: of, ...word }));
}

/** The word, or `null` for what is none of this machine's. */
export function decodeWord<K extends keyof WordOf>(kind: K, of: string, bytes: Uint8Array): WordOf[K] | null {
  if (bytes.length > LONGEST_WORD) return null;
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    const { v: _v, vm: whose, ...word } = words[kind].take(value as never, 'word');
    return whose === of ? (word as unknown as WordOf[K]) : null;
  } catch (error) {
    if (error instanceof ArgumentError || error instanceof SyntaxError || error instanceof TypeError) return null;
    throw error;
  }
}
