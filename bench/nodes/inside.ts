// Where a KVM is: the ways in turns, then bursts; lines of JSON. Its argument is that of `NodesWork`.
import { quantile } from '../stats.ts';
import type { BurstFound, WayFound } from './found.ts';
import { BenchNats } from './nats.ts';
import { bursts, local, overNodes, overRelay, type RoundTrips } from './ways.ts';

export interface NodesWork {
  /** Of all ways; one more goes before, in which code is compiled. */
  readonly turns: number;
  /** Interrupts of each way in a turn. */
  readonly count: number;
  readonly rounds: number;
  readonly nodes: readonly number[];
  /** The program of bench/nodes/relay.c, and that of NATS; `null`: there is none. */
  readonly relay: string;
  readonly server: string | null;
}

/** What an interrupt is as a message, about. */
const ENVELOPE = 250;

const work = JSON.parse(process.argv[2]!) as NodesWork;
const say = (line: object) => console.log(JSON.stringify(line));
await using nats = work.server === null ? null : await BenchNats.start(work.server);
const ways: Record<string, (count: number) => Promise<RoundTrips>> = {
  local,
  relay: (count) => overRelay(count, work.relay),
  nodes: (count) => overNodes(count),
  ...(nats && {
    'nodes-nats': (count) => overNodes(count, { transport: nats.transport() }),
    'nats-request': async (count) => ({ times: await nats.requests(count, ENVELOPE) }),
  }),
};
const found = new Map<string, RoundTrips[]>(Object.keys(ways).map((name) => [name, []]));
for (let turn = 0; turn <= work.turns; turn++)
  for (const [name, measure] of Object.entries(ways)) {
    const block = await measure(work.count);
    if (turn > 0) found.get(name)!.push(block);
  }
for (const [name, blocks] of found) say(wayFound(name, blocks));
for (const nodes of work.nodes) {
  say(burstFound('memory', nodes, await bursts(nodes, work.rounds)));
  if (nats) say(burstFound('nats', nodes, await bursts(nodes, work.rounds, { transport: nats.transport() })));
}

function wayFound(way: string, blocks: readonly RoundTrips[]): WayFound {
  const of = (part: 'times' | 'handed' | 'replayed') => blocks.flatMap((block) => block[part] ?? []);
  const times = of('times');
  const middle = (values: readonly number[]) => (values.length > 0 ? quantile(values, 0.5) : undefined);
  const messages = blocks.reduce((sum, block) => sum + (block.messages ?? 0), 0);
  return {
    way,
    count: times.length,
    p50: quantile(times, 0.5),
    p99: quantile(times, 0.99),
    turns: blocks.map((block) => quantile(block.times, 0.5)),
    handed: middle(of('handed')),
    replayed: middle(of('replayed')),
    messages: messages > 0 ? messages / times.length : undefined,
  };
}

function burstFound(
  transport: BurstFound['burst'],
  nodes: number,
  rounds: Awaited<ReturnType<typeof bursts>>,
): BurstFound {
  const interrupts = rounds.reduce((sum, one) => sum + one.interrupts, 0);
  return {
    burst: transport,
    nodes,
    interrupts,
    perSecond: quantile(
      rounds.map((one) => one.interrupts / one.seconds),
      0.5,
    ),
    messages: rounds.reduce((sum, one) => sum + one.messages, 0) / interrupts,
  };
}
