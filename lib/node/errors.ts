/** What goes wrong between the nodes of a machine. */
import { EnvironmentError, KvmDsmError } from '../base/errors.ts';
import { plural } from '../base/text.ts';

/** `vCPU 1`, `vCPUs 1, 2 and 3`. */
export function namesOf(vcpus: readonly number[]): string {
  if (vcpus.length === 1) return `vCPU ${vcpus[0]}`;
  return `vCPUs ${vcpus.slice(0, -1).join(', ')} and ${vcpus.at(-1)}`;
}

/** An interrupt that nobody has acknowledged: who sent it to which node, as what number, and in words. */
export interface Unacknowledged {
  /** vcpu_id of the sender. */
  readonly source: number;
  /** Its place among what the source has sent to that node, from 1. */
  readonly seq: number;
  /** In words. */
  readonly what: string;
}

/** Another node is dead, or has begun anew, while the machine needs it. */
export class NodeLostError extends KvmDsmError {
  readonly code = 'ERR_NODE_LOST';
  /** Which node. */
  readonly node: number;
  /** What was sent to it and not acknowledged, in the order of each source. */
  readonly unacknowledged: readonly Unacknowledged[];

  /** @internal `runs`: vcpu_id of each that it runs */
  constructor(node: number, runs: readonly number[], why: string, unacknowledged: readonly Unacknowledged[]) {
    const count = plural(unacknowledged.length, 'interrupt');
    super(`Node ${node} (${namesOf(runs)}) ${why}; ${count} to it not acknowledged`, {
      advice: 'Look at what became of that node. `unacknowledged` has each interrupt that it may not have got.',
      failure: unacknowledged.map(({ source, seq, what }) => `vCPU ${source} #${seq}: ${what}`).join('\n'),
    });
    this.node = node;
    this.unacknowledged = unacknowledged;
  }
}

/** More waits for a node's acknowledgement than there is room for. */
export class NodeQueueError extends KvmDsmError {
  readonly code = 'ERR_NODE_QUEUE';
  /** Which node. */
  readonly node: number;

  /** @internal */
  constructor(node: number, capacity: number) {
    super(`${capacity} interrupts wait for the acknowledgement of node ${node}, and there is room for no more`, {
      advice: 'See whether that node and the transport are alive: they take less than the guests send.',
    });
    this.node = node;
  }
}

/** The shards of a machine have not all come together in time. */
export class NodesMissingError extends EnvironmentError {
  readonly code = 'ERR_NODES_MISSING';
  /** vcpu_id of those that nobody runs. */
  readonly missing: readonly number[];

  /** @internal */
  constructor(message: string, advice: string, missing: readonly number[]) {
    super(message, { advice });
    this.missing = missing;
  }
}

/** What carries the messages is not there, or its package is not. */
export class TransportError extends EnvironmentError {
  readonly code = 'ERR_TRANSPORT';
}
