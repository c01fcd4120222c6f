/** The interrupts that went from one node to others, and when each was where: put together of what the nodes tell. It asks no clock and no KVM. */

import type { IcrCommand } from '../abi/apic/icr.ts';
import { NMI_VECTOR } from '../abi/exceptions.ts';
import type { Ipi } from '../apic/ipi.ts';

/** A vCPU that an interrupt of another node names. */
export interface NodeIpiVcpu {
  /** vcpu_id. */
  readonly vcpu: number;
  /**
   * In ns, as `ns` of the trace: when KVM_RUN returned because the handler told the host that it had run (guestPorts.handled, behind its EOI).
   * `undefined` if nobody can say: no handler told, or what the handlers told fits more than one interrupt.
   */
  readonly handled?: number;
  /** From `sent` to `handled`, in microseconds. */
  readonly handledAfter?: number;
}

/** An interrupt of another node, on a node that it was for. */
export interface NodeIpiArrival {
  /** The node. */
  readonly node: number;
  /** Its place among all that its vCPU has told that node, from 1 on; what its local APIC has become is counted as well. */
  readonly number?: number;
  /** In ns, as `ns` of the trace: when the node began to replay it. `undefined`: it did not come to that, or not in this process. */
  readonly replayed?: number;
  /** From `sent` to `replayed`, in microseconds. */
  readonly replayedAfter?: number;
  /** Those of the node's vCPUs that it names, as the node knew them then; of lowest priority the candidates. Empty before `replayed`. */
  readonly vcpus: readonly NodeIpiVcpu[];
}

/** An interrupt that a vCPU sent and that another node had to know of. All times are by one clock, CLOCK_MONOTONIC of this computer. */
export interface NodeIpi {
  /** vcpu_id of the vCPU that wrote its ICR. */
  readonly from: number;
  /** The node that runs it. */
  readonly node: number;
  /** What was written, decoded. Source: Intel SDM volume 3, "Interrupt Command Register (ICR)". */
  readonly command: IcrCommand;
  /** An APIC id, or a logical id: 8 bits, or 32 in x2APIC mode. Means nothing under a shorthand. */
  readonly destination: number;
  /** How it was sent: it says how wide the destination is. */
  readonly mode: 'xapic' | 'x2apic';
  /** A paravirtual one names whom it is for one by one. */
  readonly named?: {
    /** What its ids are. */
    readonly by: 'apicId' | 'vcpu';
    /** Those that it names. */
    readonly ids: readonly number[];
  };
  /**
   * In ns, as `ns` of the trace: when KVM_RUN returned with the exit of the guest's write. `undefined` for one of another process, whose clock
   * is another.
   */
  readonly sent?: number;
  /** In ns, as `ns` of the trace: when its message was given to the transport, the first time. */
  readonly handed?: number;
  /** From `sent` to `handed`, in microseconds. */
  readonly handedAfter?: number;
  /** The nodes that it was for. */
  readonly to: readonly NodeIpiArrival[];
}

/** What is remembered of one; times in ns of CLOCK_MONOTONIC. */
interface Crossing {
  readonly node: number;
  readonly ipi: Ipi;
  readonly sent: number | undefined;
  handed: number | undefined;
  readonly to: Arrival[];
}

interface Arrival {
  readonly node: number;
  number: number | undefined;
  replayed: number | undefined;
  vcpus: { readonly vcpu: number; handled: number | undefined }[];
}

/** What one run of the machine has brought to one vCPU by one vector. */
interface Brought {
  /** From other nodes, in the order of their replays. */
  readonly came: { readonly at: number; readonly vcpu: Arrival['vcpus'][number] }[];
  /** When its handler told of it. */
  readonly handled: number[];
  /** It came another way as well: what was handled cannot be told apart. */
  isShared: boolean;
}

const NS_PER_US = 1000;

export class Crossings {
  readonly #born: number;
  readonly #all: Crossing[] = [];
  /** By source, and by the time of its exit: what is not yet replayed by all. */
  readonly #open = new Map<number, Map<number, Crossing>>();
  /** By vCPU and vector, of the present run. */
  #run = new Map<string, Brought>();
  /** Those of which one still waited when a run was over. */
  readonly #waiting = new Set<string>();
  #isForeign = false;
  #replayOf: number | undefined;

  /** @param born CLOCK_MONOTONIC in ns: the beginning of the times that are told */
  constructor(born: number) {
    this.#born = born;
  }

  /** A vCPU has sent it, and these nodes have to know. `here`: whom it names on its own node, which its KVM has given it to. */
  sent(node: number, ipi: Ipi, ns: number, nodes: readonly number[], here: readonly number[]): void {
    for (const vcpu of here) this.#of(vcpu, vectorOf(ipi)).isShared = true;
    if (nodes.length === 0) return;
    const to = nodes.map((one) => ({ node: one, number: undefined, replayed: undefined, vcpus: [] }));
    const crossing = { node, ipi, sent: ns, handed: undefined, to };
    this.#all.push(crossing);
    this.#openOf(Number(ipi.from)).set(ns, crossing);
  }

  /** Its message goes to the transport now. A later time is that of a repetition. */
  handed(source: number, ns: number, now: number): void {
    const crossing = this.#open.get(source)?.get(ns);
    if (crossing) crossing.handed ??= now;
  }

  /** Does what gives one of that vCPU to those of a node: what the VM tells meanwhile is no act of the script's. */
  replaying(source: number, work: () => void): void {
    this.#replayOf = source;
    try {
      work();
    } finally {
      this.#replayOf = undefined;
    }
  }

  /** vcpu_id of the vCPU of which one is given to those of a node now. */
  get replayOf(): number | undefined {
    return this.#replayOf;
  }

  /**
   * A node has replayed what a vCPU of another one has sent.
   *
   * @param home the node that runs its sender
   * @param ns when it was sent, by the sender's clock
   * @param at when the replay began
   * @param vcpus whom it names there
   */
  replayed(
    { node, home, number }: { node: number; home: number; number: number | undefined },
    ipi: Ipi,
    { ns, at }: { ns: number; at: number },
    vcpus: readonly number[],
  ): void {
    const source = Number(ipi.from);
    const open = this.#open.get(source);
    let crossing = open?.get(ns);
    if (!crossing) {
      crossing = { node: home, ipi, sent: undefined, handed: undefined, to: [] };
      this.#all.push(crossing);
    }
    let arrival = crossing.to.find((one) => one.node === node);
    if (!arrival) {
      arrival = { node, number, replayed: at, vcpus: [] };
      crossing.to.push(arrival);
    }
    arrival.number = number;
    arrival.replayed = at;
    arrival.vcpus = vcpus.map((vcpu) => ({ vcpu, handled: undefined }));
    if (crossing.to.every(({ replayed }) => replayed !== undefined)) open?.delete(ns);
    const isOneOfThem = ipi.command.deliveryMode === 'lowestPriority' && vcpus.length > 1;
    for (const vcpu of arrival.vcpus) {
      const brought = this.#of(vcpu.vcpu, vectorOf(ipi));
      brought.came.push({ at, vcpu });
      if (isOneOfThem) brought.isShared = true;
    }
  }

  /** Something has happened to a VM that may have brought an interrupt. */
  acted(): void {
    if (this.#replayOf === undefined) this.#isForeign = true;
  }

  /** A handler has told that it has run. */
  handled(vcpu: number, vector: number, ns: number): void {
    this.#of(vcpu, vector).handled.push(ns);
  }

  /**
   * A run is over. What a handler has told is given to an interrupt only if the run says which one: as many handled, or waiting still, as came, from
   * other nodes alone.
   *
   * @param waits whether the vector waits in the vCPU's IRR or ISR; `undefined` if nobody knows
   */
  conclude(waits: (vcpu: number, vector: number) => boolean | undefined): void {
    for (const [key, brought] of this.#run) {
      const [vcpu, vector] = key.split(':').map(Number) as [number, number];
      const waited = this.#waiting.delete(key);
      const isWaiting = waits(vcpu, vector);
      if (isWaiting !== false) this.#waiting.add(key);
      if (waited || isWaiting === undefined || brought.isShared || this.#isForeign) continue;
      const { came, handled } = brought;
      if (handled.length === 0 || came.length !== handled.length + (isWaiting ? 1 : 0)) continue;
      if (handled.some((ns, at) => ns < came[at]!.at)) continue;
      for (const [at, ns] of handled.entries()) came[at]!.vcpu.handled = ns;
    }
    // Of those to which nothing came in this run.
    for (const key of this.#waiting) {
      const [vcpu, vector] = key.split(':').map(Number) as [number, number];
      if (waits(vcpu, vector) === false) this.#waiting.delete(key);
    }
    this.#run = new Map();
    this.#isForeign = false;
  }

  /** Those from that place on, in the order in which they were sent, or heard of. */
  list(from: number): readonly NodeIpi[] {
    return this.#all.slice(from).map((one) => this.#told(one));
  }

  #told({ node, ipi, sent, handed, to }: Crossing): NodeIpi {
    const { from, destination, mode, named } = ipi;
    const { vector, deliveryMode, destinationMode, level, trigger, shorthand } = ipi.command;
    return {
      from: Number(from),
      node,
      command: { vector, deliveryMode, destinationMode, level, trigger, shorthand },
      ...{ destination, mode },
      ...(named && { named }),
      ...this.#time('sent', sent),
      ...this.#time('handed', handed, sent),
      to: to.map(({ node: one, number, replayed, vcpus }) => ({
        node: one,
        ...(number !== undefined && { number }),
        ...this.#time('replayed', replayed, sent),
        vcpus: vcpus.map(({ vcpu, handled }) => ({ vcpu, ...this.#time('handled', handled, sent) })),
      })),
    };
  }

  #time(name: string, ns: number | undefined, sent?: number): Record<string, number> {
    if (ns === undefined) return {};
    const after = sent === undefined ? {} : { [`${name}After`]: Math.round(ns - sent) / NS_PER_US };
    return { [name]: Math.round(ns - this.#born), ...after };
  }

  #openOf(source: number): Map<number, Crossing> {
    const known = this.#open.get(source) ?? new Map<number, Crossing>();
    this.#open.set(source, known);
    return known;
  }

  #of(vcpu: number, vector: number): Brought {
    const key = `${vcpu}:${vector}`;
    let brought = this.#run.get(key);
    if (!brought) {
      brought = { came: [], handled: [], isShared: false };
      this.#run.set(key, brought);
    }
    return brought;
  }
}

/** INIT, SIPI and SMI have none that a handler counts: 0 is nobody's. */
function vectorOf({ command: { deliveryMode, vector } }: Ipi): number {
  if (deliveryMode === 'nmi') return NMI_VECTOR;
  return deliveryMode === 'fixed' || deliveryMode === 'lowestPriority' ? vector : 0;
}
