/** An interrupt that was sent to a vCPU and has not come there. */
import { describeIpi, describeSender } from '../../../apic/describe.ts';
import type { Ipi } from '../../../apic/ipi.ts';
import { isCounted } from '../../../guest/handlers.ts';
import { names } from '../ipis.ts';
import type { CpuSnapshot, LapicSnapshot, VcpuSnapshot } from '../snapshot.ts';
import type { Cause } from '../types.ts';

/**
 * Sure only of a vector that the machine's handler has never counted, and that the LAPIC, which is on, has neither in its IRR nor in
 * service: of several of one vector, two that meet become one.
 */
export function notReceived(vcpu: VcpuSnapshot, cpu: CpuSnapshot, lapic: LapicSnapshot, ipis: readonly Ipi[]): Cause[] {
  const { id, program, counters } = vcpu;
  const { mode, enabled } = lapic.view;
  if (mode === 'disabled' || !enabled || !program || program.mode === 'real16') return [];
  if (!program.idt || cpu.sregs.idt.base !== program.idtBase) return [];
  const isLost = (ipi: Ipi): boolean => {
    const { deliveryMode, vector } = ipi.command;
    // Of lowest priority another one may have it; the host's own messages tell by themselves whether they were taken.
    if (deliveryMode !== 'fixed' || ipi.from === 'host' || vector < 32 || !isCounted(vector)) return false;
    if (program.own.has(vector) || counters.has(vector) || lapic.irr.includes(vector) || lapic.isr.includes(vector))
      return false;
    return names(ipi, vcpu);
  };
  const lost = ipis.filter(isLost).at(-1);
  if (!lost) return [];
  const { vector } = lost.command;
  const where = lost.seq === null ? '' : `, as #${lost.seq}`;
  const sent = `${describeSender(lost)} sent it ${describeIpi(lost)}${where}`;
  const text = `vCPU ${id} has not received what was sent: ${sent}, which it has neither handled nor in IRR or ISR`;
  return [{ text, vcpus: [id], weight: 88, lost: { vcpuId: id, vector } }];
}
