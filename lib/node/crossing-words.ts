/** Interrupts between nodes in words and as JSON. */
import { describeDestination, describeIpi } from '../apic/describe.ts';
import type { Ipi } from '../apic/ipi.ts';
import { type JsonValue, toJson } from '../base/json.ts';
import { plural } from '../base/text.ts';
import type { NodeIpi, NodeIpiArrival } from './crossings.ts';

/**
 * One line: who sent what to whom, and after how many microseconds it was where. `vCPU 0 of node 0: vector 0x41 for APIC id 2, with the transport after
 * 87 us; node 1 replayed it after 190 us, vCPU 2 handled it after 402 us`.
 */
export function describeNodeIpi(ipi: NodeIpi): string {
  const { from, node, command, destination, mode, named, handed, handedAfter, to } = ipi;
  const sent: Ipi = { from, command, destination, mode, ...(named && { named }), seq: null };
  const whom = named
    ? `${named.by === 'vcpu' ? 'vCPU' : 'APIC id'} ${named.ids.join(', ')}`
    : describeDestination(sent);
  const what = `vCPU ${from} of node ${node}: ${describeIpi(sent)} for ${whom}`;
  const way = handed === undefined ? '' : `, with the transport${after(handedAfter)}`;
  return [`${what}${way}`, ...to.map(describeArrival)].join('; ');
}

function describeArrival({ node, replayed, replayedAfter, vcpus }: NodeIpiArrival): string {
  if (replayed === undefined) return `node ${node} has not replayed it here`;
  const handled = vcpus.flatMap((one) =>
    one.handled === undefined ? [] : [`vCPU ${one.vcpu} handled it${after(one.handledAfter)}`],
  );
  return [`node ${node} replayed it${after(replayedAfter)}`, ...handled].join(', ');
}

/** Nothing of one that another process' clock has the beginning of. */
const after = (us: number | undefined) => (us === undefined ? '' : ` after ${us.toFixed(0)} us`);

/** How long they took: medians and the 99th of a hundred. @param left so many of them are not shown one by one */
export function summaryOf(ipis: readonly NodeIpi[], left: number): string {
  const stages: [string, number[]][] = [
    ['replayed', ipis.flatMap(({ to }) => to.flatMap(({ replayedAfter }) => replayedAfter ?? []))],
    ['handled', ipis.flatMap(({ to }) => to.flatMap(({ vcpus }) => vcpus.flatMap((one) => one.handledAfter ?? [])))],
  ];
  const times = stages.filter(([, values]) => values.length > 0).map(([stage, values]) => `${stage} ${spread(values)}`);
  const more = left > 0 ? `, ${left} of them not shown` : '';
  return [`${plural(ipis.length, 'interrupt')} between nodes${more}`, ...times].join('; ');
}

function spread(values: number[]): string {
  values.sort((a, b) => a - b);
  const at = (part: number) => values[Math.ceil(part * values.length) - 1]!.toFixed(0);
  return `after ${at(0.5)} us (median), ${at(0.99)} us (p99)`;
}

/** As `kvm-dsm run --json` and a trace file have it. */
export function nodeIpiToJson(ipi: NodeIpi): Record<string, JsonValue> {
  return { type: 'node-ipi', ...(toJson(ipi) as Record<string, JsonValue>) };
}

const mandatory = ['from', 'node', 'command', 'destination', 'mode', 'to'] as const;

/**
 * The interrupt that such JSON was made of.
 *
 * @throws TypeError if it is none
 */
export function nodeIpiFromJson(json: Readonly<Record<string, unknown>>): NodeIpi {
  for (const name of mandatory) if (json[name] === undefined) throw new TypeError(`${name} is missing`);
  const { from, node, command, destination, mode, named, sent, handed, handedAfter, to } = json as unknown as NodeIpi;
  return {
    ...{ from, node, command, destination, mode, to },
    ...(named && { named }),
    ...(sent !== undefined && { sent }),
    ...(handed !== undefined && { handed }),
    ...(handedAfter !== undefined && { handedAfter }),
  };
}
