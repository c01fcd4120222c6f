/** This process as one shard of the machines of a script: it finds the others, and tells them when its script has ended. */
import { createHash, randomUUID } from 'node:crypto';
import { plural } from '../base/text.ts';
import {
  type CompanyState,
  hear,
  homesOf,
  isLeaveKnown,
  type Lack,
  lackOf,
  leftOf,
  look,
  newCompany,
  wordOf,
} from './company.ts';
import { NodesMissingError, namesOf } from './errors.ts';
import type { Transport } from './transport.ts';
import { under } from './transports/under.ts';
import { type CompanyWord, decodeWord, encodeWord, type LeftHow } from './words.ts';

/** What a shard is. */
export interface ShardParts {
  /** The name that all shards of the machine are given. */
  readonly vm: string;
  /** vcpu_id of each that runs here. */
  readonly vcpus: readonly number[];
  /** How many vCPUs the machine has. */
  readonly of: number;
  readonly transport: Transport;
}

/** How often a shard says who it is, in ms. */
export const WORD_EVERY = 500;
/** How long it waits at most, in ms, until the others know that it has left. */
const LEAVE = 3000;
const SUBJECT = 'company';

export class Shard {
  readonly #vm: string;
  readonly #transport: Transport;
  readonly #state: CompanyState;
  readonly #timer: NodeJS.Timeout;
  readonly #listeners = new Set<() => void>();
  #machines = 0;

  private constructor({ vm, vcpus, of, transport }: ShardParts) {
    this.#vm = vm;
    this.#transport = transport;
    this.#state = newCompany(
      randomUUID(),
      [...vcpus].sort((a, b) => a - b),
      of,
    );
    transport.subscribe(SUBJECT, (bytes) => {
      const word = decodeWord('company', vm, bytes);
      if (word && hear(this.#state, word, performance.now())) this.#changed();
    });
    this.#timer = setInterval(() => {
      look(this.#state, performance.now());
      this.#changed();
    }, WORD_EVERY).unref();
    this.#say();
  }

  /**
   * Waits until all shards of the machine are there.
   *
   * @param deadline in ms
   * @throws NodesMissingError, which says which vCPUs nobody runs
   */
  static async join(parts: ShardParts, deadline: number): Promise<Shard> {
    const shard = new Shard(parts);
    const state = shard.#state;
    if (await shard.#wait(() => state.members !== null, deadline)) return shard;
    const error = lacking(parts, lackOf(state, performance.now()), deadline);
    await shard.#end();
    throw error;
  }

  get #members(): readonly CompanyWord[] {
    return this.#state.members!;
  }

  /** By node: its process. */
  get shards(): readonly string[] {
    return this.#members.map(({ shard }) => shard);
  }

  /** Which node this is: they are counted from 0 by the lowest vCPU of each. */
  get node(): number {
    return this.shards.indexOf(this.#state.shard);
  }

  /** How many vCPUs the machine has. */
  get of(): number {
    return this.#state.of;
  }

  /** By vcpu_id: the node that runs it. */
  get homes(): readonly number[] {
    return homesOf(this.#members, this.of);
  }

  /** Whether a node's script has ended. */
  left(node: number): LeftHow {
    return leftOf(this.#state, this.shards[node]!);
  }

  /** Is told whenever something may have changed. */
  onChange(changed: () => void): void {
    this.#listeners.add(changed);
  }

  /** The next machine that the script makes: its name, which those of another company do not have, and its subjects. */
  nextMachine(): { readonly name: string; readonly transport: Transport } {
    const company = createHash('sha256').update(this.shards.join()).digest('hex').slice(0, 16);
    const at = `m${this.#machines++}`;
    return { name: `${this.#vm}.${company}.${at}`, transport: under(this.#transport, at) };
  }

  /** The script has ended: the others hear of it, and messages go nowhere after this. */
  async leave(how: Exclude<LeftHow, 'no'>): Promise<void> {
    this.#state.left = how;
    this.#say();
    await this.#wait(() => isLeaveKnown(this.#state), LEAVE);
    await this.#end();
  }

  async #end(): Promise<void> {
    clearInterval(this.#timer);
    await this.#transport.close();
  }

  #changed(): void {
    this.#say();
    for (const changed of this.#listeners) changed();
  }

  #say(): void {
    this.#transport.publish(SUBJECT, encodeWord(this.#vm, wordOf(this.#state)));
  }

  async #wait(isSo: () => boolean, deadline: number): Promise<boolean> {
    const ends = performance.now() + deadline;
    while (!isSo()) {
      if (performance.now() >= ends) return false;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return true;
  }
}

function lacking({ vm, of }: ShardParts, lack: Lack, deadline: number): NodesMissingError {
  const { missing, doubled, sizes, begun } = lack;
  const why: string[] = [];
  if (missing.length > 0) why.push(`nobody runs ${namesOf(missing)}`);
  if (begun.length > 0) why.push(`those who run ${namesOf(begun)} have begun without this one`);
  else if (doubled.length > 0) why.push(`several run ${namesOf(doubled)}`);
  if (sizes.length > 0) why.push(`somebody says that it has ${plural(sizes[0]!, 'vCPU')}`);
  if (why.length === 0) why.push('they do not hear of each other');
  return new NodesMissingError(
    `The nodes of ${vm}, with ${plural(of, 'vCPU')}, were not together within ${deadline} ms: ${why.join(', and ')}`,
    'Start `kvm-dsm node` for each vCPU with the same --nats, --vm and --of, or give a later --deadline.',
    missing,
  );
}
