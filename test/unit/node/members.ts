/** Nodes without KVM: what goes between them, and what each was given. */
import type { LinkLimits } from '../../../lib/node/delivery.ts';
import type { Membership, NodeItem } from '../../../lib/node/envelope.ts';
import { type Carrier, Links, type Receiver } from '../../../lib/node/links.ts';
import type { Transport } from '../../../lib/node/transport.ts';
import { Router } from '../../../lib/node/transports/router.ts';

/** vCPU 0 and 1 are node 0's, 2 and 3 node 1's, and so on. */
export const homesOf = (nodes: number): number[] => Array.from({ length: nodes * 2 }, (_, vcpu) => vcpu >> 1);

export const memberOf = (node: number, nodes = 2, key?: string): Membership => ({
  machine: 'test',
  node,
  homes: homesOf(nodes),
  nodes,
  ...(key !== undefined && { key }),
});

/** An ICR write whose ICR2 is its number, so that each is another. */
export const numbered = (number: number): NodeItem => ({ is: 'icr', icr2: number, icr: 0x4040, ns: 0 });

export interface Peer {
  readonly carrier: Carrier;
  /** The numbers that came, by source. */
  readonly got: Map<number, number[]>;
  readonly failures: Error[];
  joined: number;
}

export interface PeerOptions {
  readonly limits?: Partial<LinkLimits>;
  readonly key?: string;
  readonly router?: boolean;
}

export function peer(transport: Transport, node: number, nodes: number, options: PeerOptions = {}): Peer {
  const got = new Map<number, number[]>();
  const failures: Error[] = [];
  const receiver: Receiver = {
    deliver(source, item) {
      if (item.is === 'icr') got.set(source, [...(got.get(source) ?? []), item.icr2]);
    },
    joined() {
      one.joined += 1;
    },
    failed: (error) => void failures.push(error),
  };
  const member = memberOf(node, nodes, options.key);
  const carrier = options.router
    ? new Router(member, transport, receiver)
    : new Links(member, transport, receiver, options.limits);
  const one: Peer = { carrier, got, failures, joined: 0 };
  return one;
}

/** Until it is so, for as long as a test may take. */
export async function until(isSo: () => boolean, what: string): Promise<void> {
  const ends = performance.now() + 30_000;
  while (!isSo()) {
    if (performance.now() > ends) throw new Error(`not within 30 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

export const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);
