/** One node of a machine: some of its vCPUs run here, and of each other one there is a replica that never runs. */
import { readLapicRegister } from '../abi/apic/lapic.ts';
import type { Ipi } from '../apic/ipi.ts';
import type { Exit } from '../exit/exit.ts';
import type { Vcpu } from '../kvm/vcpu/vcpu.ts';
import type { Crossings } from './crossings.ts';
import type { KnownApic, NodeItem, ToldItem } from './envelope.ts';
import type { NodeLostError, NodeQueueError } from './errors.ts';
import { Forward, ipiOfItem, isKick } from './forward.ts';
import type { Carrier, Receiver } from './links.ts';
import { isRefusal, Replay, type ReplayTarget, type ReplayWay } from './replay.ts';
import { sameApic } from './resolve.ts';

/** What a node is told besides. */
export interface NodeHooks {
  /** Is told of each interrupt, and of when it was where. */
  readonly crossings?: Crossings | undefined;
  /** The machine cannot go on. */
  failed(error: NodeLostError | NodeQueueError): void;
}

/** What a node has done with interrupts. */
export interface NodeCounts {
  /** Interrupts that vCPUs of this node have sent. */
  sent: number;
  /** Those of them that another node had to know of. */
  forwarded: number;
  /** Interrupts of other nodes. */
  replayed: number;
  /** What the kernel did not take. */
  untaken: number;
}

/** What has come of a source, and its place among all that came of it. */
interface Held {
  readonly item: NodeItem;
  readonly number: number | undefined;
}

export class Node {
  readonly id: number;
  readonly #target: ReplayTarget;
  readonly #hooks: NodeHooks;
  readonly #replay: Replay;
  readonly #forward = new Forward();
  /** By source: what has come and takes effect after what has yet to come. */
  readonly #held = new Map<number, Held[]>();
  readonly #carrier: Carrier;
  readonly #others: readonly number[];
  readonly counts: NodeCounts = { sent: 0, forwarded: 0, replayed: 0, untaken: 0 };
  /** How much has happened between this node and others. */
  activity = 0;

  /** @param carry makes the carrier, which tells the receiver */
  constructor(target: ReplayTarget, way: ReplayWay, carry: (receiver: Receiver) => Carrier, hooks: NodeHooks) {
    this.id = target.node;
    this.#target = target;
    this.#hooks = hooks;
    this.#replay = new Replay(target, way);
    const { map, vcpus } = target;
    this.#others = [...new Set(map.homes)].filter((node) => node !== this.id);
    for (const [vcpu, one] of vcpus.entries()) map.set(vcpu, registersOf(one), 0);
    this.#carrier = carry({
      deliver: (source, item, number) => this.#take(source, { item, number }),
      handed: (source, { ns }) => hooks.crossings?.handed(source, ns, now()),
      joined: (node) => this.#introduce(node),
      failed: (error) => hooks.failed(error),
    });
  }

  get carrier(): Carrier {
    return this.#carrier;
  }

  /** Nothing is on its way, neither from here nor to here. */
  get quiet(): boolean {
    return this.#carrier.quiet && [...this.#held.values()].every((items) => items.length === 0);
  }

  /** An exit of a vCPU of this node, which is out of the guest. */
  see(vcpu: Vcpu, exit: Exit, ns: number): void {
    const sent = this.#forward.read(exit);
    // Nothing depends on what a local APIC is like while the guest writes the first half.
    if (!sent && exit.name === 'KVM_EXIT_DSM_SEND_IRQ') return;
    this.look(vcpu);
    if (!sent) return;
    this.counts.sent += 1;
    const { defers, map } = this.#target;
    const { everything } = this.#carrier;
    const taker = defers && !everything ? map.taker(sent.ipi) : undefined;
    const nodes = everything ? this.#others : this.#nodesOf(sent.ipi, taker);
    const item = { ...sent.item, ns, ...(taker !== undefined && { taker }) };
    if (!isKick(item)) this.#hooks.crossings?.sent(this.id, sent.ipi, ns, nodes, this.#named(sent.ipi, taker));
    if (defers && (taker === undefined || this.#isOwn(taker)))
      this.#does(vcpu.vcpuId, () => this.#replay.own(vcpu.vcpuId, item));
    if (nodes.length === 0) return;
    this.counts.forwarded += 1;
    this.#offer(vcpu.vcpuId, item, nodes);
  }

  #nodesOf(ipi: Ipi, taker: number | undefined): readonly number[] {
    const { map } = this.#target;
    if (taker === undefined) return map.nodes(ipi, this.id);
    return this.#isOwn(taker) ? [] : [map.homes[taker]!];
  }

  /** Tells the others if a vCPU of this node, which is out of the guest, is named by other destinations than before. */
  look(vcpu: Vcpu): void {
    const { map } = this.#target;
    const id = vcpu.vcpuId;
    const now = registersOf(vcpu);
    if (sameApic(map.registers(id), now)) return;
    map.set(id, now, map.versions[id]! + 1);
    this.#tellApic(id, this.#others);
  }

  /** The vCPUs of this node; none of them runs. */
  lookAtAll(): void {
    for (const one of this.#own()) this.look(one);
  }

  #own(): Vcpu[] {
    const { map, vcpus } = this.#target;
    return vcpus.filter((_, vcpu) => map.homes[vcpu] === this.id);
  }

  #tellApic(vcpu: number, nodes: readonly number[]): void {
    const { map } = this.#target;
    this.#offer(vcpu, { is: 'apic', version: map.versions[vcpu]!, ...map.registers(vcpu)!, ns: now() }, nodes);
  }

  /** A node that has begun anew has the local APICs as the machine was made. */
  #introduce(node: number): void {
    for (const { vcpuId } of this.#own()) if (this.#target.map.versions[vcpuId]! > 0) this.#tellApic(vcpuId, [node]);
  }

  #offer(source: number, item: NodeItem, nodes: readonly number[]): void {
    this.activity += 1;
    const { versions } = this.#target.map;
    // Its own comes before it anyway.
    const after = versions.map((version, vcpu) => (vcpu === source ? 0 : version));
    this.#carrier.offer(source, after.some((version) => version > 0) ? { ...item, after } : item, nodes);
  }

  #take(source: number, one: Held): void {
    this.activity += 1;
    const held = this.#held.get(source) ?? [];
    held.push(one);
    this.#held.set(source, held);
    this.#release();
  }

  /** Does what is due. A change of a local APIC may make due what others have sent. */
  #release(): void {
    for (let again = true; again; ) {
      again = false;
      for (const [source, items] of this.#held) {
        while (items.length > 0 && this.#isDue(items[0]!.item)) again = this.#apply(source, items.shift()!) || again;
      }
    }
  }

  #isDue({ after }: NodeItem): boolean {
    const { map } = this.#target;
    return after === undefined || after.every((version, vcpu) => this.#isOwn(vcpu) || map.versions[vcpu]! >= version);
  }

  #isOwn(vcpu: number): boolean {
    return this.#target.map.homes[vcpu] === this.id;
  }

  /** The vCPUs of this node that it names, or that one of them that takes it. */
  #named(ipi: Ipi, taker: number | undefined): number[] {
    const named = taker === undefined ? this.#target.map.named(ipi).map(({ vcpu }) => vcpu) : [taker];
    return named.filter((vcpu) => this.#isOwn(vcpu));
  }

  /** Gives it to the kernel; false if that did not take it. */
  #does(source: number, replay: () => void): boolean {
    const { crossings } = this.#hooks;
    try {
      if (crossings) crossings.replaying(source, replay);
      else replay();
      return true;
    } catch (error) {
      if (!isRefusal(error)) throw error;
      this.counts.untaken += 1;
      return false;
    }
  }

  /** True if a local APIC has changed. */
  #apply(source: number, { item, number }: Held): boolean {
    const at = now();
    if (!this.#does(source, () => this.#replay.apply(source, item))) return false;
    if (item.is === 'apic') return true;
    this.counts.replayed += 1;
    const { crossings } = this.#hooks;
    const ipi = crossings && interruptOf(source, item);
    const home = this.#target.map.homes[source]!;
    if (ipi)
      crossings.replayed({ node: this.id, home, number }, ipi, { ns: item.ns, at }, this.#named(ipi, item.taker));
    return false;
  }
}

/** What a handler may tell of. */
const interruptOf = (source: number, item: ToldItem) => (isKick(item) ? undefined : ipiOfItem(source, item));

/** CLOCK_MONOTONIC in ns. */
const now = () => Number(process.hrtime.bigint());

/** What the kernel has for a vCPU that is out of the guest. */
function registersOf(vcpu: Vcpu): KnownApic {
  const page = vcpu.getLapic();
  return {
    apicBase: vcpu.apicBase(),
    id: readLapicRegister(page, 'ID'),
    ldr: readLapicRegister(page, 'LDR'),
    dfr: readLapicRegister(page, 'DFR'),
    svr: readLapicRegister(page, 'SVR'),
  };
}
