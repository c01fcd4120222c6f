/** Ours and a router, on the same bus and with the same faults. */
import { MemoryBus } from '../../../lib/node/transports/memory.ts';
import { Random } from '../../../lib/script/random.ts';
import { numbered, type Peer, type PeerOptions, peer, until, upTo } from './members.ts';

export const COUNT = 300;
const NODES = 3;

export interface Outcome {
  /** Messages of all nodes. */
  readonly published: number;
  /** What node 1 got, in its order. */
  readonly got: readonly number[];
}

/** So many interrupts of vCPU 0 to node 1, of three nodes. */
export async function throughFaults(options: PeerOptions): Promise<Outcome> {
  const random = new Random(7);
  const faults = { loss: 0.05, duplicate: 0.05, delay: 0.1, random: () => random.integer(0, 999_999) / 1e6 };
  const bus = new MemoryBus();
  const peers: Peer[] = Array.from({ length: NODES }, (_, node) => peer(bus.join(), node, NODES, options));
  await until(() => peers.every(({ carrier }) => carrier.acquainted), 'they know each other');
  const before = published(peers);
  bus.faults = faults;
  for (const number of upTo(COUNT)) peers[0]!.carrier.offer(0, numbered(number), [1]);
  await until(() => peers[0]!.carrier.quiet, 'all is acknowledged');
  const sent = published(peers) - before;
  // The bus is empty when some turns of the event loop bring nothing.
  for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve));
  await Promise.all(peers.map(({ carrier }) => carrier.close()));
  return { published: sent, got: peers[1]!.got.get(0) ?? [] };
}

function published(peers: readonly Peer[]): number {
  return peers.reduce((sum, { carrier }) => sum + carrier.counts.published, 0);
}

/** How many are missing, how many came again, and how many came behind a later one. */
export function judged(got: readonly number[]): { lost: number; doubled: number; late: number } {
  const lost = upTo(COUNT).filter((number) => !got.includes(number)).length;
  const late = got.filter((number, at) => got.slice(0, at).some((before) => before > number)).length;
  return { lost, doubled: got.length - new Set(got).size, late };
}

/** As Markdown. */
export async function compareCarriers(): Promise<string> {
  const rows: string[] = [];
  for (const [name, router] of [['a router', true] as const, ['this package', false] as const]) {
    const { got, published: messages } = await throughFaults({ router, limits: { resend: 5, longest: 20 } });
    const { lost, doubled, late } = judged(got);
    rows.push(`| ${name} | ${lost} | ${doubled} | ${late} | ${(messages / COUNT).toFixed(1)} |\n`);
  }
  return `| | lost, or gone elsewhere | came again | came behind a later one | messages per interrupt |\n|---|---|---|---|---|\n${rows.join('')}`;
}
