/** A machine over several nodes, all of them in this process. */
import { randomUUID } from 'node:crypto';
import { ArgumentError } from '../../base/errors.ts';
import type { Vm } from '../../kvm/vm/vm.ts';
import type { Cluster, ClusterParts } from '../../node/cluster.ts';
import type { Crossings } from '../../node/crossings.ts';
import type { LinkLimits } from '../../node/delivery.ts';
import type { Shard } from '../../node/shard.ts';
import type { ShardMachine } from '../../node/shard-machine.ts';
import type { Transport } from '../../node/transport.ts';
import type { MachineOptions } from './options.ts';

/** What joins them. */
export type TransportOption = NonNullable<MachineOptions['transport']>;

/** Nodes of one process wait for each other: an acknowledgement comes late because the process has much to do, and not because it was lost. */
const patientLimits: Partial<LinkLimits> = { resend: 1000, longest: 4000 };

/** How they are joined, where it is not as usual. */
export type JoinOptions = Pick<ClusterParts, 'limits' | 'replay' | 'defers' | 'key' | 'router' | 'crossings'>;

/**
 * Joins the VMs of a machine.
 *
 * @param homes by vcpu_id: the node that runs it
 * @throws TransportError; ArgumentError for a transport that there is not
 */
export async function joinNodes(
  vms: readonly Vm[],
  homes: readonly number[],
  option: TransportOption,
  way: JoinOptions,
): Promise<Cluster> {
  const name = randomUUID();
  const [{ Cluster: OwnCluster }, joined] = await Promise.all([
    import('../../node/cluster.ts'),
    transports(option, name, vms.length),
  ]);
  const nodes = vms.map((vm, node) => ({
    vm,
    vcpus: homes.map((_, id) => vm.vcpus.get(id)!),
    transport: joined[node]!,
  }));
  // A transport of the script's own may lose a message; these two hardly do, and what is sent again is one more thing to do.
  const patient = typeof option === 'function' ? {} : patientLimits;
  return new OwnCluster({ ...way, limits: { ...patient, ...way.limits }, machine: name, homes, nodes });
}

/** This process' node of a machine whose others are in other processes. */
export async function joinShards(
  vm: Vm,
  shard: Shard,
  { defers, crossings }: { defers: boolean; crossings: Crossings },
): Promise<ShardMachine> {
  const { ShardMachine: OwnMachine } = await import('../../node/shard-machine.ts');
  return new OwnMachine(
    shard,
    vm,
    shard.homes.map((_, id) => vm.vcpus.get(id)!),
    defers,
    crossings,
  );
}

async function transports(option: TransportOption, name: string, count: number): Promise<Transport[]> {
  const each = <T>(make: (node: number) => T) => Promise.all(Array.from({ length: count }, (_, node) => make(node)));
  if (typeof option === 'function') return each(option);
  if (option === 'memory') {
    const { MemoryBus } = await import('../../node/transports/memory.ts');
    const bus = new MemoryBus();
    return each(() => bus.join());
  }
  if (!/^(?:nats|tls|wss?):\/\//.test(option))
    throw new ArgumentError(
      'transport',
      `transport ${JSON.stringify(option)} is neither memory nor the address of a NATS server`,
      'Give memory, nats://host:port, or a function that makes the transport of a node.',
    );
  const { natsTransport } = await import('../../node/transports/nats.ts');
  return each(() => natsTransport({ url: option, prefix: `kvm-dsm.${name}` }));
}
