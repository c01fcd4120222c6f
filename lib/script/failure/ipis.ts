/** The interrupts that a machine's vCPUs, and its host, are known to have sent, and whom they name. */
import { isNamed } from '../../apic/destination.ts';
import { type Ipi, IpiReader, ipiHeld, ipiOfMsi } from '../../apic/ipi.ts';
import { unknownApic } from '../../picture/picture.ts';
import { isExit, type TraceEvent } from '../../trace/event.ts';
import type { Snapshot, VcpuSnapshot } from './snapshot.ts';

/** In order; those that only a LAPIC's ICR tells of, each that vCPU's last one, come last: they have no `seq`. */
export function knownIpis({ events, vcpus }: Snapshot): Ipi[] {
  const reader = new IpiReader();
  const traced = events.flatMap((event) => ipiIn(event, reader) ?? []);
  // A write that the host replays is left in the ICR as well, and the vCPU has not written it.
  const replayed = events.flatMap((event) =>
    !isExit(event) && /^KVM_DSM_/.test(event.ioctl ?? '') && event.vcpu !== undefined ? [event.vcpu] : [],
  );
  const tell = new Set([...traced.map(({ from }) => from), ...replayed]);
  const held = vcpus.flatMap((vcpu) => (tell.has(vcpu.id) ? [] : (heldIpi(vcpu) ?? [])));
  return [...traced, ...held];
}

function ipiIn(event: TraceEvent, reader: IpiReader): Ipi | undefined {
  const { seq } = event;
  if (isExit(event)) return reader.read(event.exit, seq);
  const isOwn = event.ioctl === 'KVM_SIGNAL_MSI' && event.replayOf === undefined;
  return isOwn ? ipiOfMsi(event.message, seq) : undefined;
}

function heldIpi({ id, cpu }: VcpuSnapshot): Ipi | undefined {
  if (typeof cpu === 'string' || !cpu.lapic) return undefined;
  const { registers, view } = cpu.lapic;
  return ipiHeld(id, registers, view.mode === 'x2apic' ? 'x2apic' : 'xapic');
}

/** Whether an IPI's destination names this vCPU. One whose LAPIC is not known has its vcpu_id as APIC id, and no logical one. */
export function names(ipi: Ipi, { id, cpu }: VcpuSnapshot): boolean {
  const lapic = typeof cpu === 'string' ? null : cpu.lapic;
  return isNamed(ipi, lapic?.view ?? unknownApic(id));
}
