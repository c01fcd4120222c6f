/**
 * A carrier that does as GiantVM's router does, to be compared with: each write of ICR and of ICR2 goes to every other node as four words,
 * has no number, is not checked and is not acknowledged. What the transport loses is lost, and what it doubles comes twice. Source:
 * interrupt-router.c of GVM-qemu.
 */
import { lapicRegisters } from '../../abi/apic/lapic.ts';
import type { Membership, NodeItem } from '../envelope.ts';
import type { Carrier, CarrierCounts, Receiver } from '../links.ts';
import { subjectOf, type Transport } from '../transport.ts';

/** vcpu_id, register, value, and the upper half of an x2APIC's value: 32 bits each. */
const WORDS = 4;

export class Router implements Carrier {
  readonly everything = true;
  readonly counts: CarrierCounts = { published: 0, arrived: 0, resent: 0, doubled: 0, refused: {} };
  /** Nothing tells whether what was sent has come. */
  readonly quiet = true;
  readonly acquainted = true;
  readonly unacknowledged = () => [];
  readonly #member: Membership;
  readonly #transport: Transport;
  readonly #receiver: Receiver;
  /** By source: the replica's ICR2. */
  readonly #icr2 = new Map<number, number>();

  constructor(member: Membership, transport: Transport, receiver: Receiver) {
    this.#member = member;
    this.#transport = transport;
    this.#receiver = receiver;
    transport.subscribe(subjectOf(member.node), (bytes) => this.#take(bytes));
  }

  offer(source: number, item: NodeItem): void {
    this.#receiver.handed?.(source, item);
    if (item.is === 'icr') {
      this.#send(source, lapicRegisters.ICR2, item.icr2);
      this.#send(source, lapicRegisters.ICR, item.icr);
    } else if (item.is === 'x2icr') {
      this.#send(source, 0, Number(item.data & 0xffff_ffffn), Number(item.data >> 32n));
    }
  }

  #send(...words: [source: number, register: number, value: number, high?: number]): void {
    const bytes = new Uint8Array(Uint32Array.of(...(words as number[]), 0).buffer, 0, WORDS * 4);
    for (let node = 0; node < this.#member.nodes; node++) {
      if (node === this.#member.node) continue;
      this.counts.published += 1;
      this.#transport.publish(subjectOf(node), bytes);
    }
  }

  #take(bytes: Uint8Array): void {
    this.counts.arrived += 1;
    const [source, register, value, high] = new Uint32Array(bytes.slice(0, WORDS * 4).buffer) as unknown as number[];
    const ns = 0;
    if (register === lapicRegisters.ICR2) this.#icr2.set(source!, value!);
    else if (register === lapicRegisters.ICR)
      this.#receiver.deliver(source!, { is: 'icr', icr2: this.#icr2.get(source!) ?? 0, icr: value!, ns });
    else this.#receiver.deliver(source!, { is: 'x2icr', data: (BigInt(high!) << 32n) | BigInt(value!), ns });
  }

  async close(): Promise<void> {
    await this.#transport.close();
  }
}
