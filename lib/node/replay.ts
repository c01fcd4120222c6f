/** An interrupt of a vCPU that runs elsewhere, given to those that run here. */
import { encodeIcr, type IcrCommand } from '../abi/apic/icr.ts';
import { lapicRegisters, XAPIC_BROADCAST } from '../abi/apic/lapic.ts';
import type { MsiMessage } from '../abi/kvm/gsi-route.ts';
import { isForEveryone } from '../apic/destination.ts';
import type { Ipi } from '../apic/ipi.ts';
import { apicMode } from '../apic/mode.ts';
import { ArgumentError, IoctlError, UnsupportedError } from '../base/errors.ts';
import type { Vcpu } from '../kvm/vcpu/vcpu.ts';
import { ReplayRefusedError } from '../kvm/vm/errors.ts';
import type { Vm } from '../kvm/vm/vm.ts';
import type { ApicItem, IcrItem, NodeItem, SentItem, X2IcrItem } from './envelope.ts';
import { ipiOfItem } from './forward.ts';
import type { ApicMap } from './resolve.ts';

/**
 * By the ioctls of patch 3/3, which write to the replica of the sender: KVM resolves whom that reaches. Or by messages
 * (KVM_SIGNAL_MSI), which each kernel has.
 */
export type ReplayWay = 'ioctl' | 'message';

/** What a node replays on. */
export interface ReplayTarget {
  readonly vm: Vm;
  /** By vcpu_id: those that run here, and the replicas of the others. */
  readonly vcpus: readonly Vcpu[];
  readonly map: ApicMap;
  /** This node. */
  readonly node: number;
  /** Its KVM has given nobody what an exit tells of: it is for this node to do that. */
  readonly defers: boolean;
}

/** Bits of an MSI's address: where local APICs are, and that the destination is a logical one. */
const MSI_ADDRESS = 0xfee0_0000;
const MSI_LOGICAL = 1 << 2;
/** What an x2APIC's logical id has below its cluster. */
const FIRST_EIGHT = 0xff;

export class Replay {
  readonly #target: ReplayTarget;
  #way: ReplayWay;

  constructor(target: ReplayTarget, way: ReplayWay) {
    this.#target = target;
    this.#way = way;
  }

  /** @throws IoctlError for what the kernel does not take */
  apply(source: number, item: NodeItem): void {
    if (item.is === 'apic') this.#apic(source, item);
    else if (item.taker !== undefined) this.#toTaker(item.taker, ipiOfItem(source, item)!);
    else if (this.#way === 'message' || item.is === 'pv') this.#byMessage(ipiOfItem(source, item));
    else this.#byIoctl(source, item);
  }

  /**
   * What a vCPU of this node has sent, to those of this node, where KVM has left that to it.
   *
   * @throws IoctlError for what the kernel does not take
   */
  own(source: number, item: SentItem): void {
    const ipi = ipiOfItem(source, item)!;
    if (item.taker !== undefined) this.#toTaker(item.taker, ipi);
    // Neither a paravirtual one nor SELF IPI writes the ICR, which the guest may read.
    else if (item.is === 'pv' || this.#way === 'message' || ipi.command.shorthand === 'self') this.#toEach(ipi);
    else this.#byIoctl(source, item, () => this.#toEach(ipi));
  }

  /** The replica becomes what the vCPU has become, so that this node's KVM knows whom an IPI names. */
  #apic(source: number, item: ApicItem): void {
    const { vcpus, map } = this.#target;
    const replica = vcpus[source]!;
    const sregs = replica.getSregs();
    if (sregs.apicBase !== item.apicBase) replica.setSregs({ ...sregs, apicBase: item.apicBase });
    const { id, ldr, dfr, svr } = item;
    // In x2APIC mode the id is KVM's, and the logical one follows from it.
    const isX2 = apicMode(item.apicBase) === 'x2apic';
    if (apicMode(item.apicBase) !== 'disabled')
      replica.setLapicRegisters(isX2 ? { SVR: svr } : { ID: id, LDR: ldr, DFR: dfr, SVR: svr });
    map.set(source, item, item.version);
  }

  /** @param otherwise what this ioctl would lose, or what the guest may not write: KVM's messages take it, or there is nobody to give it to */
  #byIoctl(
    source: number,
    item: IcrItem | X2IcrItem,
    otherwise = () => this.#byMessage(ipiOfItem(source, item)),
  ): void {
    const { vm } = this.#target;
    try {
      if (item.is === 'x2icr') vm.dsmX2apic({ vcpuId: source, data: item.data });
      else {
        vm.dsmIpi({ vcpuId: source, val: lapicRegisters.ICR2, val2: item.icr2 });
        vm.dsmIpi({ vcpuId: source, val: lapicRegisters.ICR, val2: item.icr });
      }
    } catch (error) {
      if (error instanceof UnsupportedError) this.#way = 'message';
      else if (!(error instanceof ReplayRefusedError) && !(error instanceof ArgumentError)) throw error;
      otherwise();
    }
  }

  /** As if it had been for this one alone. */
  #toTaker(taker: number, { command }: Ipi): void {
    const { vm, map } = this.#target;
    vm.signalMsi(messageTo(map.apicId(taker), { ...command, deliveryMode: 'fixed' }));
  }

  /** A message for each vCPU of this node that it names. */
  #toEach(ipi: Ipi): void {
    const { vm, map, node } = this.#target;
    for (const { vcpu, apicId } of map.named(ipi))
      if (map.homes[vcpu] === node) vm.signalMsi(messageTo(apicId, ipi.command));
  }

  /** One message with the same destination, where a message can name it; otherwise one for each vCPU here that it names. */
  #byMessage(ipi: Ipi | undefined): void {
    if (!ipi || ipi.command.shorthand === 'self') return;
    const { vm } = this.#target;
    const { command, destination, mode, named } = ipi;
    const send = (id: number, isLogical = false) => vm.signalMsi(messageTo(id, command, isLogical));
    const isLogical = command.destinationMode === 'logical';
    // The sender is among those whom it reaches: a replica, which never runs.
    if (isForEveryone(ipi)) send(XAPIC_BROADCAST);
    else if (!named && (mode === 'xapic' || (isLogical && destination <= FIRST_EIGHT))) send(destination, isLogical);
    else this.#toEach(ipi);
  }
}

/** @param id of 8 bits: that of a local APIC, or a logical one */
function messageTo(id: number, command: IcrCommand, isLogical = false): MsiMessage {
  const { vector, deliveryMode, level, trigger } = command;
  const data = encodeIcr({ vector, deliveryMode, level, trigger });
  return { addressLo: (MSI_ADDRESS | (id << 12) | (isLogical ? MSI_LOGICAL : 0)) >>> 0, data };
}

/** Whether the kernel has refused what the wire asked for. */
export function isRefusal(error: unknown): boolean {
  return error instanceof IoctlError || error instanceof ArgumentError;
}
