// What the bench of nodes says, and how it is shown: bench/results/nodes.jsonl has such lines.
import { compare } from '../stats.ts';

/** A way of an interrupt: times in microseconds. */
export interface WayFound {
  readonly way: string;
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  /** The median of each turn: those of all ways were taken side by side. */
  readonly turns: readonly number[];
  /** Of several nodes, from the exit on: when the transport had the message, and when its replay began; medians. */
  readonly handed?: number | undefined;
  readonly replayed?: number | undefined;
  /** To the transport, for each interrupt. */
  readonly messages?: number | undefined;
}

/** Nodes that send all at once. */
export interface BurstFound {
  readonly burst: 'memory' | 'nats';
  readonly nodes: number;
  readonly interrupts: number;
  /** Median of the rounds. */
  readonly perSecond: number;
  readonly messages: number;
}

/** What was measured, where and how. */
export interface BenchNote {
  readonly note: string;
}

export type NodesFound = WayFound | BurstFound | BenchNote;

const ways: Record<string, string> = {
  local: 'two vCPUs of one VM',
  relay: 'two VMs of one process, joined by a C program',
  nodes: 'two nodes, `transport: memory`',
  'nodes-nats': 'two nodes over NATS',
  'nats-request': "NATS' own request and its answer, without guests",
};

type Row = readonly string[];

const digits = (value: number) => (value < 100 ? value.toPrecision(2) : String(Math.round(value)));
const often = (value: number | undefined) => (value === undefined ? '' : digits(value));

/** Of each turn's medians, the median of their ratios. */
function ratioTo(reference: WayFound | undefined, { turns, way }: WayFound): string {
  return reference === undefined || reference.way === way ? '' : digits(compare(turns, reference.turns).ratio);
}

/** Rows of the ways, the first one with their titles. */
export function wayRows(found: readonly NodesFound[]): Row[] {
  const measured = found.filter((one) => 'way' in one);
  const of = (name: string) => measured.find(({ way }) => way === name);
  const head = ['ICR write to handler', 'p50, us', 'p99, us', 'to local', 'to the C relay', "to NATS' request"];
  return [
    [...head, 'with the transport, us', 'replayed, us', 'messages'],
    ...measured.map((one) => [
      ways[one.way]!,
      digits(one.p50),
      digits(one.p99),
      ...['local', 'relay', 'nats-request'].map((name) => ratioTo(of(name), one)),
      ...[often(one.handed), often(one.replayed), one.messages?.toFixed(1) ?? ''],
    ]),
  ];
}

/** Rows of the bursts, the first one with their titles. */
export function burstRows(found: readonly NodesFound[]): Row[] {
  const measured = found.filter((one) => 'burst' in one);
  return [
    ['nodes that send at once', 'joined by', 'interrupts', 'interrupts a second', 'messages for each'],
    ...measured.map(({ burst, nodes, interrupts, perSecond, messages }) => [
      String(nodes),
      burst,
      String(interrupts),
      digits(perSecond),
      messages.toFixed(2),
    ]),
  ];
}

const markdown = ([head, ...rows]: Row[]): string =>
  [head!, head!.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');

/** What docs/nodes-costs.md has of them. */
export function nodesPage(found: readonly NodesFound[]): string {
  const notes = found.filter((one) => 'note' in one).map(({ note }) => note);
  return `\n${[...notes, markdown(wayRows(found)), markdown(burstRows(found))].join('\n\n')}\n`;
}
