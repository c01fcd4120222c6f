/** One machine of a script that runs as shards: this process' node of it, and its runs side by side with those of the others. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Exit } from '../exit/exit.ts';
import type { Vcpu } from '../kvm/vcpu/vcpu.ts';
import type { Vm } from '../kvm/vm/vm.ts';
import type { NodeReport } from './cluster.ts';
import type { Crossings } from './crossings.ts';
import type { LinkLimits } from './delivery.ts';
import { NodeLostError } from './errors.ts';
import { Links } from './links.ts';
import { Node } from './node.ts';
import { ApicMap } from './resolve.ts';
import type { Shard } from './shard.ts';
import {
  answer,
  anyAt,
  areAllIdle,
  beginRun,
  behind,
  hear,
  newStages,
  type RunPart,
  type StagesState,
  stageOf,
  wordOf,
} from './stages.ts';
import type { Transport } from './transport.ts';
import { decodeWord, encodeWord } from './words.ts';

/** How often is looked whether the others have come so far, in ms. */
const LOOK = 1;
const SUBJECT = 'stage';

/** Beyond those of nodes in one process: a line of an emulated machine is slow, and what is sent again too soon makes it slower. */
const slowLimits: Partial<LinkLimits> = { resend: 500, longest: 4000, burst: 8, window: 64, deadline: 5000 };

/** What a run of several processes waits for besides. */
export class ShardMachine {
  readonly #shard: Shard;
  readonly #name: string;
  readonly #transport: Transport;
  readonly #links: Links;
  readonly #node: Node;
  readonly #stages: StagesState;
  #run = 0;
  /** This run ends when all are done, and those of this node are. */
  #isDone = false;
  #failure: Error | null = null;
  #fail: (error: Error) => void = () => {};
  #finish: () => void = () => {};
  /** Rejects when the machine cannot go on. */
  readonly failed: Promise<never>;
  /** Resolves when another node has ended the present run. */
  over: Promise<void> = new Promise(() => {});

  constructor(
    shard: Shard,
    vm: Vm,
    vcpus: readonly Vcpu[],
    defers: boolean,
    crossings?: Crossings,
    limits: Partial<LinkLimits> = slowLimits,
  ) {
    const { homes, node, shards } = shard;
    const { name, transport } = shard.nextMachine();
    this.#shard = shard;
    this.#name = name;
    this.#transport = transport;
    this.#stages = newStages(node, shards);
    this.failed = new Promise((_, reject) => {
      this.#fail = reject;
    });
    // Who runs the machine hears of it; nobody else need.
    this.failed.catch(() => {});
    const member = { machine: name, node, homes, nodes: shards.length };
    let links: Links | undefined;
    this.#node = new Node(
      { vm, vcpus, map: new ApicMap(homes), node, defers },
      'ioctl',
      (receiver) => {
        links = new Links(member, transport, receiver, limits);
        return links;
      },
      { failed: (error) => this.#failWith(error), crossings },
    );
    this.#links = links!;
    transport.subscribe(SUBJECT, (bytes) => {
      const word = decodeWord('stage', name, bytes);
      if (word && hear(this.#stages, word)) this.#look();
    });
    shard.onChange(() => {
      this.#look();
      this.#say();
    });
    this.#say();
  }

  /** An exit of a vCPU that is out of the guest. */
  see(vcpu: Vcpu, exit: Exit): void {
    this.#node.see(vcpu, exit, vcpu.exitNs);
  }

  /** Nothing is on its way from here or to here, as far as this node knows. */
  get quiet(): boolean {
    return this.#node.quiet;
  }

  /** By node; of the others as they have said at the end of the last run. */
  get reports(): readonly NodeReport[] {
    const { node: own, shards, known } = this.#stages;
    return shards.map((_, node) => {
      if (node === own) return { ...this.#node.counts, ...this.#links.counts };
      const none = { sent: 0, forwarded: 0, replayed: 0, untaken: 0, published: 0, arrived: 0, resent: 0, doubled: 0 };
      return { ...none, ...known.get(node)?.counts, refused: {} };
    });
  }

  /**
   * The next run, of all nodes: none of its vCPUs runs before each node knows what the local APICs are like.
   *
   * @param deadline in ms
   * @throws NodeLostError if another node does not come
   */
  async begin(deadline: number): Promise<void> {
    const ends = performance.now() + deadline;
    this.#run += 1;
    this.#isDone = false;
    this.over = new Promise((resolve) => {
      this.#finish = resolve;
    });
    beginRun(this.#stages);
    await this.#come('ready', ends);
    this.#node.lookAtAll();
    if (!(await this.#until(() => this.#node.quiet && this.#links.acquainted, ends))) this.#loseSomebody();
    await this.#come('told', ends);
  }

  /** Those of this node's vCPUs that the run waits for are idle, or not; true if those of all nodes are, and nothing is on its way. */
  idle(isIdle: boolean): boolean {
    this.#answer(isIdle && this.#node.quiet, this.#node.activity);
    return anyAt(this.#stages, stageOf(this.#run, 'stopped'));
  }

  /** This node's vCPUs have done what the run waits for, which is over when those of all nodes have. */
  done(): void {
    this.#isDone = true;
    this.#look();
  }

  /**
   * This node's vCPUs are out of the guest: ends the run everywhere.
   *
   * @param deadline in ms
   * @returns false if something was still on its way when it came
   * @throws NodeLostError if another node does not come to the end
   */
  async settle(deadline: number): Promise<boolean> {
    const ends = performance.now() + deadline;
    await this.#come('stopped', ends);
    if (!(await this.#until(() => this.#node.quiet, ends))) return false;
    const { refused: _refused, ...counts } = { ...this.#node.counts, ...this.#links.counts };
    this.#stages.counts = counts;
    await this.#come('quiet', ends);
    return this.#node.quiet;
  }

  /** Its guests send nothing any more. What it has said of its runs is still to be heard. */
  async close(): Promise<void> {
    await this.#links.close();
  }

  #say(): void {
    this.#transport.publish(SUBJECT, encodeWord(this.#name, wordOf(this.#stages)));
  }

  #answer(isIdle: boolean, activity: number): void {
    if (answer(this.#stages, isIdle, activity)) this.#say();
    this.#ask();
  }

  /** The first node's part. */
  #ask(): void {
    const { probe } = this.#stages;
    if (areAllIdle(this.#stages)) this.#finish();
    else if (this.#stages.probe !== probe) this.#say();
  }

  #look(): void {
    if (this.#run === 0) return;
    if (anyAt(this.#stages, stageOf(this.#run, 'stopped'))) this.#finish();
    // What is done stays so, whatever happens besides.
    else if (this.#isDone) this.#answer(true, 0);
    else this.#ask();
    for (const node of behind(this.#stages, stageOf(this.#run, 'stopped'))) this.#lookWhetherLeft(node);
  }

  #lookWhetherLeft(node: number): void {
    const left = this.#shard.left(node);
    if (left === 'no') return;
    this.#lose(node, left === 'failed' ? 'has ended: its script has failed' : 'has ended: its script is over');
  }

  #lose(node: number, why: string): void {
    const runs = this.#shard.homes.flatMap((home, vcpu) => (home === node ? [vcpu] : []));
    this.#failWith(new NodeLostError(node, runs, why, this.#links.unacknowledged(node)));
  }

  /** Whoever acknowledges nothing, or does not say which run of it is there. */
  #loseSomebody(): never {
    const others = this.#stages.shards.flatMap((_, node) => (node === this.#stages.node ? [] : [node]));
    const silent = others.find((node) => this.#links.unacknowledged(node).length > 0) ?? others[0]!;
    this.#lose(silent, `does not answer before run ${this.#run}`);
    throw this.#failure!;
  }

  #failWith(error: Error): void {
    this.#failure ??= error;
    this.#fail(error);
  }

  /** Says that it has come so far, and waits until the others have. */
  async #come(part: RunPart, ends: number): Promise<void> {
    const stage = stageOf(this.#run, part);
    this.#stages.stage = stage;
    this.#say();
    if (await this.#until(() => behind(this.#stages, stage).length === 0, ends)) return;
    const what = { ready: 'begun', told: 'begun', stopped: 'ended', quiet: 'ended' }[part];
    this.#lose(behind(this.#stages, stage)[0]!, `has not ${what} run ${this.#run} in time`);
    throw this.#failure!;
  }

  async #until(isSo: () => boolean, ends: number): Promise<boolean> {
    while (!isSo()) {
      if (this.#failure) throw this.#failure;
      if (performance.now() >= ends) return false;
      await delay(LOOK);
    }
    return true;
  }
}
