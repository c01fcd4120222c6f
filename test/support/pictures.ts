/** Traces that were never run, and machines that they left behind: what a picture has to show of each. */
import { decodeIcr, decodeIcr2, decodeX2Icr } from '../../lib/abi/apic/icr.ts';
import { x2apicLogicalId } from '../../lib/apic/destination.ts';
import type { Exit } from '../../lib/exit/exit.ts';
import type { GuestWord } from '../../lib/guest/protocol.ts';
import type { DeliveryTarget } from '../../lib/picture/target.ts';
import { traceAct } from '../../lib/trace/act.ts';
import type { Act, TraceEvent } from '../../lib/trace/event.ts';

export interface PreparedRun {
  readonly events: readonly TraceEvent[];
  readonly targets: readonly DeliveryTarget[];
  /** The event that it is about. */
  readonly focus?: number;
}

/** Makes events, each a microsecond after the one before it. */
export class Scene {
  readonly events: TraceEvent[] = [];

  #exit(vcpu: number, exit: object, word?: GuestWord): this {
    const seq = this.events.length;
    const at = { seq, ns: seq * 1000, vcpu, rip: 0x1000n + BigInt(seq * 10) };
    this.events.push({ ...at, exit: exit as Exit, ...(word && { word }) });
    return this;
  }

  icr2(vcpu: number, destination: number): this {
    const val2 = (destination << 24) >>> 0;
    const rest = { id: vcpu, val: 0x310, val2, destId: destination, register: 'ICR2', icr2: decodeIcr2(val2) };
    return this.#exit(vcpu, { name: 'KVM_EXIT_DSM_SEND_IRQ', reason: 45, ...rest });
  }

  icr(vcpu: number, val2: number, destId = 0): this {
    const rest = { id: vcpu, val: 0x300, val2, destId, register: 'ICR', icr: decodeIcr(val2) };
    return this.#exit(vcpu, { name: 'KVM_EXIT_DSM_SEND_IRQ', reason: 45, ...rest });
  }

  x2icr(vcpu: number, data: bigint): this {
    return this.#exit(vcpu, { name: 'KVM_EXIT_DSM_X2_ICR', reason: 46, id: vcpu, data, icr: decodeX2Icr(data) });
  }

  word(vcpu: number, word: GuestWord): this {
    const io = { direction: 'out', size: 4, port: 0xd0, count: 1, dataOffset: 0n, data: new Uint8Array(4) };
    return this.#exit(vcpu, { name: 'KVM_EXIT_IO', reason: 2, ...io }, word);
  }

  hlt(vcpu: number): this {
    return this.#exit(vcpu, { name: 'KVM_EXIT_HLT', reason: 5 });
  }

  act(act: Act): this {
    const seq = this.events.length;
    this.events.push(traceAct({ seq, ns: seq * 1000 }, act));
    return this;
  }

  msi(vector: number, destination: number, delivered = true): this {
    const message = {
      addressLo: (0xfee0_0000 | (destination << 12)) >>> 0,
      addressHi: 0,
      data: vector,
      devid: null,
      flags: 0,
    };
    return this.act({ act: 'injection', ioctl: 'KVM_SIGNAL_MSI', message, delivered } as unknown as Act);
  }
}

/** A vCPU whose APIC id is its vcpu_id, with a logical id of its own as Linux gives it. */
export function preparedTarget(
  vcpu: number,
  counts: Record<number, number> = {},
  more: Partial<DeliveryTarget> & { mode?: 'xapic' | 'x2apic' } = {},
): DeliveryTarget {
  const { mode = 'xapic', ...rest } = more;
  const ldr = mode === 'x2apic' ? x2apicLogicalId(vcpu) : (1 << (24 + (vcpu & 7))) >>> 0;
  const interrupts = new Map(Object.entries(counts).map(([vector, count]) => [Number(vector), count]));
  return { apic: { vcpu, apicId: vcpu, mode, ldr, dfr: 0xffff_ffff, enabled: true }, interrupts, ...rest };
}

const sync = (name: string): GuestWord => ({ kind: 'sync', name });
const done: GuestWord = { kind: 'done' };

/** Failures as tests meet them. */
export const preparedRuns: Readonly<Record<string, () => PreparedRun>> = {
  lost: () => ({
    events: new Scene().word(1, sync('ready')).icr2(0, 1).icr(0, 0x40f0, 1).word(0, done).events,
    targets: [preparedTarget(0), preparedTarget(1)],
  }),
  doubled: () => ({
    events: new Scene().icr2(0, 1).icr(0, 0x4041, 1).word(1, { kind: 'handled', vector: 0x41 }).hlt(0).events,
    targets: [preparedTarget(0), preparedTarget(1, { 65: 2 })],
  }),
  broadcast: () => ({
    events: new Scene().word(1, sync('all are here')).icr(1, 0xc_4050).word(1, done).events,
    targets: [preparedTarget(0, { 80: 1 }), preparedTarget(1), preparedTarget(2), preparedTarget(3, { 80: 1 })],
  }),
  logical: () => ({
    events: new Scene().icr2(2, 0x3).icr(2, 0x4860, 0x3).hlt(2).events,
    targets: [preparedTarget(0), preparedTarget(1, { 96: 1 }), preparedTarget(2)],
  }),
  'lowest-priority': () => ({
    events: new Scene().icr2(0, 0x6).icr(0, 0x4971, 0x6).icr(0, 0x4972, 0x6).word(0, done).events,
    targets: [preparedTarget(0), preparedTarget(1), preparedTarget(2, { 114: 1 })],
  }),
  nmi: () => ({
    events: new Scene().icr2(0, 1).icr(0, 0x4400, 1).act({ act: 'injection', ioctl: 'KVM_NMI', vcpu: 2 }).events,
    targets: [preparedTarget(0), preparedTarget(1), preparedTarget(2, { 2: 1 })],
  }),
  'init-sipi': () => ({
    events: new Scene().icr2(0, 1).icr(0, 0x4500, 1).icr(0, 0x4611, 1).icr(0, 0x4611, 1).word(0, sync('started'))
      .events,
    targets: [preparedTarget(0), preparedTarget(1, {}, { awaits: 'SIPI' })],
  }),
  self: () => ({
    events: new Scene().x2icr(0, 0x4_4080n).x2icr(0, 0x4_4081n).word(0, done).events,
    targets: [preparedTarget(0, { 129: 1 }, { mode: 'x2apic' })],
  }),
  msi: () => ({
    events: new Scene().word(0, sync('ready')).msi(0x33, 0).msi(0x34, 1, false).msi(0x35, 1).hlt(1).events,
    targets: [preparedTarget(0), preparedTarget(1, {}, { waiting: new Set([0x35]) })],
  }),
  storm: () => {
    const scene = new Scene();
    for (let round = 0; round < 400; round++) {
      const from = round % 3;
      scene.icr2(from, 9).icr(from, 0x4090 + (round === 250 ? 8 : from), 9);
      if (round % 50 === 0) for (let more = 0; more < 6; more++) scene.icr(from, 0x4090 + from, 9);
    }
    const sent = [0, 1, 2].map((from) => scene.events.filter((event) => vectorOf(event) === 0x90 + from).length);
    const counts = { 144: sent[0]!, 145: sent[1]!, 146: sent[2]! };
    return {
      events: scene.events,
      targets: Array.from({ length: 12 }, (_, vcpu) => preparedTarget(vcpu, vcpu === 9 ? counts : {})),
    };
  },
};

function vectorOf(event: TraceEvent): number | undefined {
  return 'exit' in event && event.exit.name === 'KVM_EXIT_DSM_SEND_IRQ' ? event.exit.icr?.vector : undefined;
}
