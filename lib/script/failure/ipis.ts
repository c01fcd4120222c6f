/** The interrupts that a machine's vCPUs, and its host, are known to have sent. */
import { decodeIcr, decodeX2Icr, type IcrCommand } from '../../abi/apic/icr.ts';
import { vectorName } from '../../guest/exceptions.ts';
import { isExit, type TraceEvent } from '../../trace/event.ts';
import type { LapicSnapshot, Snapshot, VcpuSnapshot } from './snapshot.ts';

export interface KnownIpi {
  /** vcpu_id of the sender; `null`: the host, by KVM_SIGNAL_MSI. */
  readonly from: number | null;
  /** Its place in the trace; `null` if only the sender's ICR tells of it: it is that vCPU's last one then. */
  readonly seq: number | null;
  readonly icr: IcrCommand;
  readonly destination: number;
  readonly x2apic: boolean;
}

/** In order; those that only a LAPIC's ICR tells of come last. */
export function knownIpis({ events, vcpus }: Snapshot): KnownIpi[] {
  const traced = events.flatMap((event) => ipiOf(event) ?? []);
  const tell = new Set(traced.map(({ from }) => from));
  const held = vcpus.flatMap((vcpu) => (tell.has(vcpu.id) ? [] : (heldIpi(vcpu) ?? [])));
  return [...traced, ...held];
}

function ipiOf(event: TraceEvent): KnownIpi | undefined {
  const { seq } = event;
  if (!isExit(event)) {
    const msi = event.ioctl === 'KVM_SIGNAL_MSI' ? /address (0x\w+), data (0x\w+)/.exec(event.detail) : null;
    return msi ? msiOf(Number(msi[1]), Number(msi[2]), seq) : undefined;
  }
  const { exit } = event;
  if (exit.name === 'KVM_EXIT_DSM_SEND_IRQ' && exit.icr)
    return { from: exit.id, seq, icr: exit.icr, destination: exit.destId, x2apic: false };
  if (exit.name === 'KVM_EXIT_DSM_X2_ICR')
    return { from: exit.id, seq, icr: exit.icr, destination: exit.icr.destination, x2apic: true };
  return undefined;
}

/** A message's data has the fields of an ICR in the same places; its address has the rest. */
function msiOf(address: number, data: number, seq: number): KnownIpi {
  const icr = decodeIcr(data);
  const destinationMode = address & 4 ? 'logical' : 'physical';
  return {
    from: null,
    seq,
    icr: { ...icr, destinationMode, shorthand: 'none' },
    destination: (address >>> 12) & 0xff,
    x2apic: false,
  };
}

function heldIpi({ id, cpu }: VcpuSnapshot): KnownIpi | undefined {
  if (typeof cpu === 'string' || !cpu.lapic) return undefined;
  const { registers, x2apic } = cpu.lapic;
  const { ICR, ICR2 } = registers;
  // Both are 0 at reset.
  if (ICR === 0) return undefined;
  if (!x2apic) return { from: id, seq: null, icr: decodeIcr(ICR), destination: ICR2 >>> 24, x2apic };
  const icr = decodeX2Icr((BigInt(ICR2) << 32n) | BigInt(ICR));
  return { from: id, seq: null, icr, destination: icr.destination, x2apic };
}

/** `vector 0xf0`, `NMI`, `SIPI with vector 0x1f`. */
export function ipiName({ icr }: KnownIpi): string {
  switch (icr.deliveryMode) {
    case 'init':
      return 'INIT';
    case 'nmi':
      return 'NMI';
    case 'smi':
      return 'SMI';
    case 'startUp':
      return `SIPI with vector 0x${icr.vector.toString(16)}`;
    default:
      return icr.vector < 32
        ? `vector 0x${icr.vector.toString(16)} (${vectorName(icr.vector)})`
        : vectorName(icr.vector);
  }
}

export function senderName({ from }: Pick<KnownIpi, 'from'>): string {
  return from === null ? 'the host' : `vCPU ${from}`;
}

/** `APIC id 1`, `logical id 0x2`, `all excluding self`. */
export function destinationName({ icr, destination }: KnownIpi): string {
  if (icr.shorthand === 'self') return 'itself';
  if (icr.shorthand !== 'none')
    return icr.shorthand === 'allIncludingSelf' ? 'all including self' : 'all excluding self';
  return icr.destinationMode === 'logical' ? `logical id 0x${destination.toString(16)}` : `APIC id ${destination}`;
}

const DFR_CLUSTER = 0;

/** Whether an IPI's destination names this vCPU. Source: Intel SDM volume 3, "Determining IPI Destination". */
export function names(ipi: KnownIpi, target: VcpuSnapshot): boolean {
  const { icr, destination, x2apic, from } = ipi;
  if (icr.shorthand !== 'none')
    return icr.shorthand === 'allIncludingSelf' || (icr.shorthand === 'self') === (from === target.id);
  if (destination === (x2apic ? 0xffff_ffff : 0xff)) return true;
  const lapic = typeof target.cpu === 'string' ? null : target.cpu.lapic;
  if (icr.destinationMode === 'physical') return destination === (lapic?.id ?? target.id);
  return lapic !== null && isLogical(lapic, destination);
}

function isLogical({ registers, x2apic }: LapicSnapshot, destination: number): boolean {
  const { LDR, DFR } = registers;
  if (x2apic) return LDR >>> 16 === destination >>> 16 && (LDR & destination & 0xffff) !== 0;
  const logical = LDR >>> 24;
  if (DFR >>> 28 !== DFR_CLUSTER) return (logical & destination) !== 0;
  return logical >> 4 === destination >> 4 && (logical & destination & 0xf) !== 0;
}
