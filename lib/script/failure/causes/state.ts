/** What the state of a vCPU says of why nothing goes on. */
import { mpStates, RFLAGS_IF } from '../../../abi/kvm/index.ts';
import { describeDestination, describeIpi, describeSender } from '../../../apic/describe.ts';
import type { Ipi } from '../../../apic/ipi.ts';
import { hex } from '../../../base/text.ts';
import { isForwardedIcrWrite } from '../../../exit/dsm.ts';
import { isExit } from '../../../trace/event.ts';
import { names } from '../ipis.ts';
import { mpStateName, vectors } from '../names.ts';
import type { CpuSnapshot, LapicSnapshot, Snapshot, VcpuSnapshot } from '../snapshot.ts';
import type { Cause, Ending } from '../types.ts';
import { loopCause } from './loop.ts';

/** Everything that can be said of every vCPU. */
export function stateCauses(snapshot: Snapshot, ipis: readonly Ipi[], ending: Ending): Cause[] {
  return [...snapshot.vcpus.flatMap((vcpu) => ofVcpu(snapshot, vcpu, ipis, ending)), ...nobody(snapshot, ipis)];
}

function ofVcpu(snapshot: Snapshot, vcpu: VcpuSnapshot, ipis: readonly Ipi[], ending: Ending): Cause[] {
  const { id, cpu, program } = vcpu;
  if (typeof cpu === 'string') return [];
  const say = (text: string, weight: number): Cause => ({ text: `vCPU ${id}${text}`, vcpus: [id], weight });
  if (!program) return notRun(vcpu, ipis, say);
  if (isWaiting(cpu))
    return program.start === 'sipi' ? [say(` never started: ${neverStarted(snapshot, vcpu, cpu, ipis)}`, 90)] : [];
  const { lapic } = cpu;
  const causes = lapic ? [...notAccepted(vcpu, lapic, ipis, say), ...keptBack(cpu, lapic, ending, say)] : [];
  const stays =
    cpu.mpState === mpStates.KVM_MP_STATE_HALTED ? idle(snapshot, vcpu, cpu, ending, say) : loopCause(vcpu, cpu, say);
  return [...causes, ...stays];
}

type Say = (text: string, weight: number) => Cause;

function isWaiting({ mpState }: CpuSnapshot): boolean {
  return mpState === mpStates.KVM_MP_STATE_UNINITIALIZED || mpState === mpStates.KVM_MP_STATE_INIT_RECEIVED;
}

function notRun(vcpu: VcpuSnapshot, ipis: readonly Ipi[], say: Say): Cause[] {
  const last = ipis.filter((ipi) => names(ipi, vcpu) && ipi.from !== vcpu.id).at(-1);
  if (!last) return [];
  return [
    say(
      ` has no program, so it does not run: ${describeIpi(last)} that ${describeSender(last)} sent to it does nothing`,
      60,
    ),
  ];
}

function neverStarted({ events }: Snapshot, vcpu: VcpuSnapshot, cpu: CpuSnapshot, ipis: readonly Ipi[]): string {
  const { id } = vcpu;
  const received = cpu.mpState === mpStates.KVM_MP_STATE_INIT_RECEIVED;
  const waits = `it waits for ${received ? 'SIPI' : 'INIT and SIPI'} (mp_state ${mpStateName(cpu.mpState)})`;
  const sipis = ipis.filter(({ command }) => command.deliveryMode === 'startUp');
  const here = sipis.filter((ipi) => names(ipi, vcpu));
  if (here.length > 0) {
    const init = ipis.some((ipi) => ipi.command.deliveryMode === 'init' && names(ipi, vcpu));
    return init || received ? waits : `${waits}, and ${describeSender(here[0]!)} sent it a SIPI, but no INIT`;
  }
  const forwarded = events.some((event) => isExit(event) && isForwardedIcrWrite(event.exit));
  const elsewhere = sipis[0] ? `; ${describeSender(sipis[0])} sent one to ${describeDestination(sipis[0])}` : '';
  if (forwarded || sipis[0]) return `${waits}, and no SIPI was sent to APIC id ${id}${elsewhere}`;
  // Without forwarding the last command of each LAPIC is all that is known.
  const sent = ipis.filter(
    ({ from, command }) => from !== 'host' && command.vector + (command.deliveryMode === 'fixed' ? 0 : 1) > 0,
  );
  if (sent.length === 0) return `${waits}, and no SIPI was sent to APIC id ${id}`;
  const last = sent
    .map((ipi) => `${describeSender(ipi)}: ${describeIpi(ipi)} to ${describeDestination(ipi)}`)
    .join(', ');
  return `${waits}; the last command in each ICR that was written is no SIPI to APIC id ${id} (${last})`;
}

/** A LAPIC that is off takes no fixed interrupt, and nobody hears of it. */
function notAccepted(vcpu: VcpuSnapshot, lapic: LapicSnapshot, ipis: readonly Ipi[], say: Say): Cause[] {
  const { mode, enabled } = lapic.view;
  if (mode !== 'disabled' && enabled) return [];
  const last = ipis.filter((ipi) => isFixed(ipi) && names(ipi, vcpu) && !vcpu.counters.has(ipi.command.vector)).at(-1);
  if (!last) return [];
  const why = mode === 'disabled' ? 'disabled (IA32_APIC_BASE bit 11 is 0)' : 'software-disabled (SVR bit 8 is 0)';
  return [say(`'s LAPIC is ${why}: ${describeIpi(last)} that ${describeSender(last)} sent was not accepted`, 85)];
}

function isFixed({ command }: Ipi): boolean {
  return command.deliveryMode === 'fixed' || command.deliveryMode === 'lowestPriority';
}

/** A vector that waits in the IRR, and what keeps it there. */
function keptBack(
  cpu: CpuSnapshot,
  { irr, isr, registers, softwareEnabled }: LapicSnapshot,
  ending: Ending,
  say: Say,
): Cause[] {
  const waiting = irr.at(-1);
  const serving = isr.at(-1);
  if (waiting === undefined || !softwareEnabled) {
    if (serving === undefined || ending.kind !== 'deadline') return [];
    return [say(`: vector ${hex(serving)} is in service: its handler has written no EOI`, 58)];
  }
  const priority = waiting >> 4;
  if (serving !== undefined && serving >> 4 >= priority)
    return [
      say(
        `: vector ${hex(serving)} is in service and ${hex(waiting)} waits in the IRR: its handler has written no EOI`,
        80,
      ),
    ];
  const tpr = registers.TPR & 0xff;
  if (tpr >> 4 >= priority)
    return [say(`: its TPR ${hex(tpr)} keeps vector ${hex(waiting)} back, which waits in the IRR`, 78)];
  if ((cpu.regs.rflags & RFLAGS_IF) !== 0n || waitsForIdle(ending)) return [];
  const halted = cpu.mpState === mpStates.KVM_MP_STATE_HALTED;
  const who = halted ? ' is in HLT with interrupts disabled' : ' has interrupts disabled';
  return [
    say(
      `${who} (RFLAGS.IF is 0): vector${irr.length > 1 ? 's' : ''} ${vectors(irr)} wait${irr.length > 1 ? '' : 's'} in the IRR`,
      75,
    ),
  ];
}

function waitsForIdle(ending: Ending): boolean {
  if (ending.kind !== 'deadline') return false;
  const { until } = ending;
  return until === 'halted' || (typeof until === 'object' && 'halted' in until);
}

/** Halted, and nothing is there that would wake it. */
function idle({ events }: Snapshot, vcpu: VcpuSnapshot, cpu: CpuSnapshot, ending: Ending, say: Say): Cause[] {
  const done = events.some((event) => isExit(event) && event.vcpu === vcpu.id && event.word?.kind === 'done');
  if (done || waitsForIdle(ending)) return [];
  const wanted =
    ending.kind === 'deadline' &&
    typeof ending.until === 'object' &&
    'vcpu' in ending.until &&
    ending.until.vcpu === vcpu.id;
  const more = wanted ? 20 : 0;
  if ((cpu.regs.rflags & RFLAGS_IF) === 0n)
    return [say(' is in HLT with interrupts disabled (RFLAGS.IF is 0): only an NMI or INIT ends it', 45 + more)];
  if (cpu.lapic && cpu.lapic.irr.length > 0) return [];
  return [say(' is idle in HLT, and no interrupt waits for it', 40 + more)];
}

/** An IPI for an APIC id that nobody has: as it should be where another machine has it. */
function nobody({ vcpus }: Snapshot, ipis: readonly Ipi[]): Cause[] {
  const lost = ipis.find((ipi) => ipi.command.shorthand === 'none' && !vcpus.some((vcpu) => names(ipi, vcpu)));
  if (!lost) return [];
  const text = `no vCPU of this machine has ${describeDestination(lost)}, to which ${describeSender(lost)} sent ${describeIpi(lost)}`;
  return [{ text, vcpus: lost.from === 'host' ? [] : [lost.from], weight: 55 }];
}
