/** What the state of a vCPU says of why nothing goes on. */
import { vectorName } from '../../../abi/exceptions.ts';
import { mpStates, RFLAGS_IF } from '../../../abi/kvm/index.ts';
import { describeDestination, describeIpi, describeSender } from '../../../apic/describe.ts';
import type { Ipi } from '../../../apic/ipi.ts';
import { hex } from '../../../base/text.ts';
import { forwardsIpi } from '../../../exit/dsm.ts';
import { isExit, type TraceExit } from '../../../trace/event.ts';
import { names } from '../ipis.ts';
import { mpStateName, vectors } from '../names.ts';
import type { CpuSnapshot, LapicSnapshot, Snapshot, VcpuSnapshot } from '../snapshot.ts';
import type { Cause, Ending } from '../types.ts';
import { apicPageCauses } from './apic-page.ts';
import { loopCause } from './loop.ts';
import { notReceived } from './not-received.ts';

const LVT_MASKED = 1 << 16;

/** Everything that can be said of every vCPU. */
export function stateCauses(snapshot: Snapshot, ipis: readonly Ipi[], ending: Ending): Cause[] {
  const each = snapshot.vcpus.flatMap((vcpu) => ofVcpu(snapshot, vcpu, ipis, ending));
  return [...each, ...apicPageCauses(snapshot), ...nobody(snapshot, ipis)];
}

function ofVcpu(snapshot: Snapshot, vcpu: VcpuSnapshot, ipis: readonly Ipi[], ending: Ending): Cause[] {
  const { id, cpu, program } = vcpu;
  if (typeof cpu === 'string') return [];
  const say = (text: string, weight: number): Cause => ({ text: `vCPU ${id}${text}`, vcpus: [id], weight });
  if (!program) return notRun(vcpu, ipis, say);
  if (isWaiting(cpu)) {
    if (cpu.mpState === mpStates.KVM_MP_STATE_INIT_RECEIVED && hasRun(snapshot, vcpu))
      return [say(stoppedByInit(vcpu, cpu, ipis), 90)];
    return program.start === 'sipi' ? [say(` never started: ${neverStarted(snapshot, vcpu, cpu, ipis)}`, 90)] : [];
  }
  const fault = stoppedByFault(snapshot, vcpu, cpu, ending);
  if (fault) return [say(fault, 86)];
  const { lapic } = cpu;
  const causes = lapic
    ? [
        ...notAccepted(snapshot, vcpu, lapic, ipis, say),
        ...notReceived(vcpu, cpu, lapic, ipis),
        ...keptBack(cpu, lapic, ending, say),
      ]
    : [];
  const stays =
    cpu.mpState === mpStates.KVM_MP_STATE_HALTED ? idle(snapshot, vcpu, cpu, ending, say) : loopCause(vcpu, cpu, say);
  return [...causes, ...stays];
}

type Say = (text: string, weight: number) => Cause;

function isWaiting({ mpState }: CpuSnapshot): boolean {
  return mpState === mpStates.KVM_MP_STATE_UNINITIALIZED || mpState === mpStates.KVM_MP_STATE_INIT_RECEIVED;
}

function notRun(vcpu: VcpuSnapshot, ipis: readonly Ipi[], say: Say): Cause[] {
  const handled = (ipi: Ipi) => vcpu.counters.has(ipi.command.vector);
  const last = ipis.filter((ipi) => names(ipi, vcpu) && ipi.from !== vcpu.id && !handled(ipi)).at(-1);
  if (!last) return [];
  return [
    say(
      ` has no program, so the run leaves it out: nothing there takes ${describeIpi(last)} that ${describeSender(last)} sent to it`,
      60,
    ),
  ];
}

/** Whether it has been in the guest: an exit of it came, or a handler ran. */
function hasRun({ events }: Snapshot, { id, counters }: VcpuSnapshot): boolean {
  return counters.size > 0 || events.some((event) => isExit(event) && event.vcpu === id);
}

function stoppedByInit(vcpu: VcpuSnapshot, cpu: CpuSnapshot, ipis: readonly Ipi[]): string {
  const init = ipis.filter((ipi) => ipi.command.deliveryMode === 'init' && names(ipi, vcpu)).at(-1);
  const by = init ? `: ${describeSender(init)} sent it an INIT` : '';
  return ` ran, and waits for ${awaited(cpu)} now${by}`;
}

function awaited({ mpState }: CpuSnapshot): string {
  const received = mpState === mpStates.KVM_MP_STATE_INIT_RECEIVED;
  return `${received ? 'SIPI' : 'INIT and SIPI'} (mp_state ${mpStateName(mpState)})`;
}

/** After a fault that nobody handles it stands in the machine's handler for good; a later run cannot tell of it again. */
function stoppedByFault(
  { events }: Snapshot,
  { id, program }: VcpuSnapshot,
  { regs }: CpuSnapshot,
  ending: Ending,
): string | undefined {
  const last = events.findLast((event): event is TraceExit => isExit(event) && event.vcpu === id);
  if (ending.kind !== 'deadline' || last?.word?.kind !== 'fault' || !program) return undefined;
  const inProgram = regs.rip >= program.begin && regs.rip < program.begin + BigInt(program.bytes.length);
  if (inProgram || (regs.rflags & RFLAGS_IF) !== 0n) return undefined;
  const when = last.seq < ending.from ? ' before this run' : '';
  return ` stands in the machine's handler: it had ${vectorName(last.word.vector)}${when}, as #${last.seq}`;
}

function neverStarted({ events }: Snapshot, vcpu: VcpuSnapshot, cpu: CpuSnapshot, ipis: readonly Ipi[]): string {
  const id = cpu.lapic?.view.apicId ?? vcpu.id;
  const received = cpu.mpState === mpStates.KVM_MP_STATE_INIT_RECEIVED;
  const waits = `it waits for ${awaited(cpu)}`;
  const sipis = ipis.filter(({ command }) => command.deliveryMode === 'startUp');
  const here = sipis.filter((ipi) => names(ipi, vcpu)).at(-1);
  if (here) {
    const init = ipis.filter((ipi) => ipi.command.deliveryMode === 'init' && names(ipi, vcpu)).at(-1);
    return `${waits}, and ${describeSender(here)} sent it ${startUpOf(here, init, received)}`;
  }
  const forwarded = events.some((event) => isExit(event) && forwardsIpi(event.exit));
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

function startUpOf(sipi: Ipi, init: Ipi | undefined, received: boolean): string {
  if (init && isBefore(sipi, init)) return 'its SIPI before the INIT';
  if (received) return 'a SIPI, which did not start it';
  return init ? 'INIT and SIPI, which did not start it' : 'a SIPI, but no INIT';
}

/** As far as the trace has both. */
function isBefore(first: Ipi, second: Ipi): boolean {
  return first.seq !== null && second.seq !== null && first.seq < second.seq;
}

/** A LAPIC that is off takes no fixed interrupt, and nobody hears of it. */
function notAccepted(
  { events }: Snapshot,
  vcpu: VcpuSnapshot,
  lapic: LapicSnapshot,
  ipis: readonly Ipi[],
  say: Say,
): Cause[] {
  const { mode, enabled } = lapic.view;
  if (mode !== 'disabled' && enabled) return [];
  // It may have been on when they came.
  const taken = ({ seq, command: { vector } }: Ipi) =>
    vcpu.counters.has(vector) ||
    lapic.irr.includes(vector) ||
    lapic.isr.includes(vector) ||
    events.some((event) => event.seq === seq && !isExit(event) && 'delivered' in event && event.delivered === true);
  const last = ipis.filter((ipi) => isFixed(ipi) && names(ipi, vcpu) && !taken(ipi)).at(-1);
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
  const timer = cpu.lapic && isTimerArmed(cpu.lapic) ? '; its LAPIC timer is armed, and has not fired yet' : '';
  return [say(` is idle in HLT, and no interrupt waits for it${timer}`, 40 + more)];
}

/** One that counts; a deadline of the TSC is in an MSR, and not known here. */
function isTimerArmed({ registers: { TMCCT, LVT_TIMER } }: LapicSnapshot): boolean {
  return TMCCT !== 0 && (LVT_TIMER & LVT_MASKED) === 0;
}

/** An IPI for an APIC id that nobody has: as it should be where another machine has it. */
function nobody({ vcpus }: Snapshot, ipis: readonly Ipi[]): Cause[] {
  const lost = ipis.find((ipi) => ipi.command.shorthand === 'none' && !vcpus.some((vcpu) => names(ipi, vcpu)));
  if (!lost) return [];
  const text = `no vCPU of this machine has ${describeDestination(lost)}, to which ${describeSender(lost)} sent ${describeIpi(lost)}`;
  return [{ text, vcpus: lost.from === 'host' ? [] : [lost.from], weight: 55 }];
}
