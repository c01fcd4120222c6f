/** The nodes of a machine that are all in this process. */
import type { Exit } from '../exit/exit.ts';
import type { Vcpu } from '../kvm/vcpu/vcpu.ts';
import type { Vm } from '../kvm/vm/vm.ts';
import type { LinkLimits } from './delivery.ts';
import type { Membership } from './envelope.ts';
import { type CarrierCounts, Links } from './links.ts';
import { Node, type NodeCounts, type NodeHooks } from './node.ts';
import type { ReplayWay } from './replay.ts';
import { ApicMap } from './resolve.ts';
import type { Transport } from './transport.ts';
import { Router } from './transports/router.ts';

export interface ClusterParts {
  /** The machine's name on the transport. */
  readonly machine: string;
  /** By vcpu_id: the node that runs it. */
  readonly homes: readonly number[];
  /** By node: its VM, and that VM's vCPUs by vcpu_id. */
  readonly nodes: readonly { readonly vm: Vm; readonly vcpus: readonly Vcpu[]; readonly transport: Transport }[];
  readonly limits?: Partial<LinkLimits>;
  readonly replay?: ReplayWay;
  /** Their VMs give nobody what their exits tell of. */
  readonly defers?: boolean;
  readonly key?: string;
  /** As GiantVM's router has it, to be compared with: every write to every node, and nothing is acknowledged. */
  readonly router?: boolean;
  readonly crossings?: NodeHooks['crossings'];
}

/** What one node has counted. */
export type NodeReport = NodeCounts & CarrierCounts;

/** How often is looked whether all is delivered, in ms. */
const LOOK = 1;

export class Cluster {
  readonly #nodes: readonly Node[];
  readonly #homes: readonly number[];
  #failure: Error | null = null;
  #fail: (error: Error) => void = () => {};
  /** Rejects when the machine cannot go on. */
  readonly failed: Promise<never>;

  constructor({
    machine,
    homes,
    nodes,
    limits,
    replay = 'ioctl',
    defers = false,
    key,
    router = false,
    crossings,
  }: ClusterParts) {
    this.#homes = homes;
    this.failed = new Promise((_, reject) => {
      this.#fail = reject;
    });
    // Who runs the machine hears of it; nobody else need.
    this.failed.catch(() => {});
    this.#nodes = nodes.map(({ vm, vcpus, transport }, node) => {
      const member: Membership = { machine, node, homes, nodes: nodes.length, ...(key !== undefined && { key }) };
      const target = { vm, vcpus, map: new ApicMap(homes), node, defers };
      const hooks: NodeHooks = {
        failed: (error) => {
          this.#failure ??= error;
          this.#fail(error);
        },
        crossings,
      };
      return new Node(
        target,
        replay,
        (receiver) =>
          router ? new Router(member, transport, receiver) : new Links(member, transport, receiver, limits),
        hooks,
      );
    });
  }

  /** An exit of a vCPU that is out of the guest. */
  see(vcpu: Vcpu, exit: Exit): void {
    this.#nodes[this.#homes[vcpu.vcpuId]!]!.see(vcpu, exit, vcpu.exitNs);
  }

  /** No vCPU runs: the nodes get to know each other and what each other's local APICs are like, before an IPI depends on it. */
  async begin(deadline: number): Promise<void> {
    for (const node of this.#nodes) node.lookAtAll();
    await this.#until(() => this.quiet && this.#nodes.every(({ carrier }) => carrier.acquainted), deadline);
  }

  /** Nothing is on its way. */
  get quiet(): boolean {
    return this.#nodes.every(({ quiet }) => quiet);
  }

  /** Whether those of all nodes are idle for good, if the machine's vCPUs are. */
  idle(isIdle: boolean): boolean {
    return isIdle && this.quiet;
  }

  /**
   * Waits until nothing is on its way.
   *
   * @param deadline in ms from now
   * @returns false if it came first
   * @throws NodeLostError, NodeQueueError
   */
  settle(deadline: number): Promise<boolean> {
    return this.#until(() => this.quiet, deadline);
  }

  async #until(isSo: () => boolean, deadline: number): Promise<boolean> {
    const ends = performance.now() + deadline;
    while (!isSo()) {
      if (this.#failure) throw this.#failure;
      if (performance.now() >= ends) return false;
      await new Promise((resolve) => setTimeout(resolve, LOOK));
    }
    if (this.#failure) throw this.#failure;
    return true;
  }

  /** By node. */
  get reports(): readonly NodeReport[] {
    return this.#nodes.map(({ counts, carrier }) => ({ ...counts, ...carrier.counts }));
  }

  async close(): Promise<void> {
    await Promise.all(this.#nodes.map(({ carrier }) => carrier.close()));
  }
}
