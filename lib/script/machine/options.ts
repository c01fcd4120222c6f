/** What a machine is to be like. */
import { checkProfile, type DsmProfile, profileCheck } from '../../abi/dsm/profiles.ts';
import { ArgumentError } from '../../base/errors.ts';
import { boolean, func, integer, listOf, oneOf, optional, shape, text, type ValueCheck } from '../../base/shape.ts';
import { plural } from '../../base/text.ts';
import { GuestLayout } from '../../guest/layout.ts';
import type { SynicPages } from '../../hyperv/synic.ts';
import { type Cpuid, checkCpuid } from '../../kvm/cpuid.ts';
import type { Shard } from '../../node/shard.ts';
import type { Transport } from '../../node/transport.ts';
import type { Session } from '../session.ts';

/** What a machine is made of; everything has a default. */
export interface MachineOptions {
  /** How many vCPUs, with vcpu_id and APIC id 0, 1, ...: 1 to 64. Default 1. */
  vcpus?: number;
  /**
   * Guest memory in bytes from guest physical address 0, a multiple of 4096. Default 2 MiB, more if the vCPUs need it;
   * what they and the machine's tables leave begins at `shared`. What goes past 0xfec00000, where PCs have their devices,
   * begins again at 4 GiB.
   */
  memory?: number;
  /** Where the interrupt controllers are: all in the kernel, local APICs in the kernel, or none. Default full. */
  irqchip?: 'full' | 'split' | 'none';
  /**
   * How the local APICs are at first: as after reset (software-disabled, so that they take no IPI until the guest enables
   * them), or enabled, in xAPIC or in x2APIC mode. Default reset.
   */
  apic?: 'reset' | 'xapic' | 'x2apic';
  /** Leave APICv on if the host has it on. Default false: inhibited for this machine, since it hides ICR writes. */
  apicv?: boolean;
  /** What the guests' CPUID shows, made of what KVM supports; such as `hideX2apic`. Default: all that KVM supports. */
  cpuid?: (supported: Cpuid) => Cpuid;
  /**
   * Hyper-V's SynIC for every vCPU (`vcpu.synic`), and Hyper-V's interface in their CPUID. `zero`: KVM clears a page when
   * the guest enables it; `keep`: it does not. Default: none. It needs a kernel with CONFIG_KVM_HYPERV.
   */
  synic?: SynicPages;
  /** Instead of /dev/kvm. */
  device?: string;
  /** Whose exits 44..48 are meant. */
  profile?: DsmProfile;
  /**
   * Several nodes, each a VM that runs the vCPUs that it names and has a replica of each other one; an IPI between them goes as it
   * would between two machines. Each vCPU is one node's. Guest memory is one. Default: one VM runs all.
   */
  nodes?: readonly NodeOptions[];
  /**
   * What joins the nodes: `memory`, or a NATS server's address, such as `nats://127.0.0.1:4222`; or a function that makes the transport
   * of a node. Default memory.
   */
  transport?: string | TransportOfNode;
  /**
   * What the VM asks for, where the profile has an opt-in: of fixed-v1 `ICR`, `PV` and `BASE`; none: a VM that makes no
   * exits; `DEFER` as well: KVM delivers nothing that it tells of. Default: the profile's usual ones, and with `nodes` `DEFER`, as far as the kernel
   * offers them.
   */
  optIn?: readonly string[];
}

/** Makes the transport of a node. */
export type TransportOfNode = (node: number) => Transport | Promise<Transport>;

/** One node of a machine. */
export interface NodeOptions {
  /** vcpu_id of each that runs there. */
  readonly vcpus: readonly number[];
}

/** The same, checked, every default filled in. */
export interface MachineSetup {
  readonly vcpus: number;
  /** In bytes. */
  readonly memory: number;
  readonly layout: GuestLayout;
  readonly irqchip: 'full' | 'split' | 'none';
  readonly apic: 'reset' | 'xapic' | 'x2apic';
  readonly apicv: boolean;
  readonly cpuid: (supported: Cpuid) => Cpuid;
  readonly synic: SynicPages | undefined;
  readonly device: string;
  readonly profile: DsmProfile;
  readonly optIn: readonly string[] | undefined;
  /** By vcpu_id: the node that runs it. */
  readonly homes: readonly number[];
  /** `null`: a machine of one node that says nothing to others. */
  readonly transport: NonNullable<MachineOptions['transport']> | null;
  /** Of a script that runs as one shard of several: which; it says who runs what, and what joins them. */
  readonly shard: Shard | undefined;
}

const MAX_VCPUS = 64;
const DEFAULT_MEMORY = 2 << 20;

const nodeOptions = shape<NodeOptions>('a node takes', { vcpus: listOf(integer(0, MAX_VCPUS - 1), MAX_VCPUS) });

const transportOption: ValueCheck<NonNullable<MachineOptions['transport']>> = (argument, value) =>
  typeof value === 'function' ? func<TransportOfNode>()(argument, value) : text(argument, value);

const machineOptions = shape<MachineOptions>('machine() takes', {
  vcpus: optional(integer(1, MAX_VCPUS)),
  memory: optional(integer(0, Number.MAX_SAFE_INTEGER)),
  irqchip: optional(oneOf(['full', 'split', 'none'])),
  apic: optional(oneOf(['reset', 'xapic', 'x2apic'])),
  apicv: optional(boolean),
  cpuid: optional(func()),
  synic: optional(oneOf(['zero', 'keep'])),
  device: optional(text),
  profile: optional(profileCheck),
  nodes: optional(listOf(nodeOptions, MAX_VCPUS)),
  transport: optional(transportOption),
  optIn: optional(listOf(text)),
});

/** @throws ArgumentError */
export function checkSetup(options: MachineOptions, session: Session): MachineSetup {
  const given = machineOptions.take(options);
  const { vcpus = given.nodes ? given.nodes.flatMap((node) => node.vcpus).length : 1 } = given;
  const { irqchip = 'full', apic = 'reset', apicv = false, synic, cpuid } = given;
  const { device = session.device, profile = checkProfile(session.profile) } = given;
  if (apic !== 'reset' && irqchip === 'none')
    throw new ArgumentError('apic', `${apic} without an in-kernel local APIC`, 'Leave `irqchip: "none"` out.');
  if (synic !== undefined && irqchip === 'none')
    throw new ArgumentError('synic', 'a SynIC without an in-kernel local APIC', 'Leave `irqchip: "none"` out.');
  if (given.transport !== undefined && !given.nodes)
    throw new ArgumentError('transport', 'a transport for a machine of one node', 'Give `nodes` as well.');
  const { shard } = session;
  if (shard && shard.of !== vcpus)
    throw new ArgumentError(
      'vcpus',
      `The machine has ${plural(vcpus, 'vCPU')}, and the command says --of ${shard.of}`,
      'Give --of the number of vCPUs that the script gives each of its machines.',
    );
  if ((given.nodes || shard) && irqchip === 'none')
    throw new ArgumentError('nodes', 'several nodes without an in-kernel local APIC', 'Leave `irqchip: "none"` out.');
  const layout = new GuestLayout(vcpus);
  const { memory = Math.max(DEFAULT_MEMORY, layout.end) } = given;
  if (memory < layout.end)
    throw new ArgumentError('memory', `${memory} bytes for ${vcpus} vCPUs`, `Give at least ${layout.end} bytes.`);
  return {
    vcpus,
    memory,
    layout,
    irqchip,
    apic,
    apicv,
    // What KVM supports needs no check.
    cpuid: (supported) => (cpuid ? checkCpuid('the answer of cpuid', cpuid(supported)) : supported),
    synic,
    device,
    profile,
    optIn: given.optIn,
    homes: homesOf(vcpus, given.nodes ?? [{ vcpus: Array.from({ length: vcpus }, (_, id) => id) }]),
    transport: given.nodes ? (given.transport ?? 'memory') : null,
    shard: undefined,
    // The script's own nodes are checked all the same.
    ...(shard && { homes: shard.homes, transport: 'memory' as const, shard }),
  };
}

/** By vcpu_id: the node that runs it. */
function homesOf(vcpus: number, nodes: readonly NodeOptions[]): number[] {
  return Array.from({ length: vcpus }, (_, id) => {
    const at = nodes.flatMap((node, index) => node.vcpus.filter((own) => own === id).map(() => index));
    const [home] = at;
    if (home !== undefined && at.length === 1 && nodes.every((node) => node.vcpus.every((own) => own < vcpus)))
      return home;
    const what =
      at.length > 1 ? `vCPU ${id} is several times there` : `vCPU ${id} is no node's, or one is not the machine's`;
    throw new ArgumentError('nodes', what, `Give each of the vCPUs 0 to ${vcpus - 1} to one node.`);
  });
}
