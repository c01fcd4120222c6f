/** Why a vCPU could not go on: what the exit that ended the run says. */

import { vectorName } from '../../../abi/exceptions.ts';
import { describeIpi, describeSender } from '../../../apic/describe.ts';
import type { Ipi } from '../../../apic/ipi.ts';
import { hex } from '../../../base/text.ts';
import type { InternalErrorExit } from '../../../exit/failure.ts';
import { describeExit } from '../../../exit/text.ts';
import { disassemble } from '../../../guest/asm/disassemble.ts';
import { END_GUARD_SIZE } from '../../../guest/end-guard.ts';
import { describeFault, type GuestFault } from '../../../guest/fault.ts';
import type { GuestWord } from '../../../guest/protocol.ts';
import { emulatesGuests } from '../../../host/emulation.ts';
import type { TraceExit } from '../../../trace/event.ts';
import { instructionAt } from '../code.ts';
import { describeEntryFailure } from '../entry-checks.ts';
import { names } from '../ipis.ts';
import { describeWrmsr } from '../msr-fault.ts';
import { lastLabel, place } from '../names.ts';
import { type CpuSnapshot, isReset, type Snapshot, type VcpuSnapshot } from '../snapshot.ts';
import type { Cause } from '../types.ts';

export function endingCause(snapshot: Snapshot, ipis: readonly Ipi[], event: TraceExit): Cause {
  const vcpu = snapshot.vcpus.find(({ id }) => id === event.vcpu);
  const what = vcpu ? ending(vcpu, ipis, event) : describeExit(event.exit);
  return { text: `vCPU ${event.vcpu}: ${what}`, vcpus: [event.vcpu], weight: 100 };
}

function ending(vcpu: VcpuSnapshot, ipis: readonly Ipi[], event: TraceExit): string {
  const { word } = event;
  if (word?.kind === 'assert') return asserted(vcpu, word);
  if (word?.kind === 'end') return pastEnd(vcpu);
  return `${isBehindProgram(vcpu, event) ? `${pastEnd(vcpu)}: ` : ''}${stopped(vcpu, ipis, event)}`;
}

/** No handler's business, and no cause of the instruction there: it is not the program's. */
function pastEnd({ program }: VcpuSnapshot): string {
  const end = program ? program.begin + BigInt(program.bytes.length) : 0n;
  const last = program && lastLabel(program);
  return `ran past the end of its program, which is at ${hex(end)}${last ? ` (behind ${last})` : ''}`;
}

function isBehindProgram({ program, cpu }: VcpuSnapshot, { word, fault }: TraceExit): boolean {
  const rip = word?.kind === 'fault' ? fault?.rip : typeof cpu === 'string' ? undefined : cpu.regs.rip;
  if (!program || rip === undefined) return false;
  const end = program.begin + BigInt(program.bytes.length);
  return rip >= end && rip < end + BigInt(END_GUARD_SIZE);
}

function stopped(vcpu: VcpuSnapshot, ipis: readonly Ipi[], event: TraceExit): string {
  const { word, exit } = event;
  if (word?.kind === 'fault')
    return event.fault
      ? faulted(vcpu, event.fault)
      : `${vectorName(word.vector)}, and its stack is not in the machine's memory`;
  if (exit.name === 'KVM_EXIT_SHUTDOWN') return shutDown(vcpu, ipis);
  if (exit.name === 'KVM_EXIT_INTERNAL_ERROR') return notEmulated(vcpu, exit);
  if (exit.name === 'KVM_EXIT_FAIL_ENTRY')
    return describeEntryFailure(exit.hardwareEntryFailureReason, typeof vcpu.cpu === 'string' ? null : vcpu.cpu);
  return describeExit(exit);
}

function asserted({ cpu, program }: VcpuSnapshot, word: Extract<GuestWord, { kind: 'assert' }>): string {
  const where = typeof cpu === 'string' ? '' : ` at ${place(cpu.regs.rip, program)}`;
  return `assertion failed${where}: ${word.text}, got ${hex(word.actual)}`;
}

/** After these RIP is at the next instruction: #DB, #BP, #OF. Vectors from 32 on, and an NMI, come from elsewhere. */
const traps = new Set([1, 2, 3, 4]);
const GP = 13;

function faulted({ cpu, program }: VcpuSnapshot, fault: GuestFault): string {
  const { rip } = fault;
  const what = describeFault(fault).replace(hex(rip), place(rip, program));
  const isTrap = traps.has(fault.vector) || fault.vector >= 32;
  const instruction = typeof cpu === 'string' || isTrap ? undefined : instructionAt(cpu, cpu.regs.rip);
  if (!instruction) return what;
  const isWrmsr = fault.vector === GP && instruction.text === 'wrmsr' && typeof cpu !== 'string';
  return `${what}: ${instruction.text}${isWrmsr ? ` (${describeWrmsr(cpu.regs)})` : ''}`;
}

function shutDown(vcpu: VcpuSnapshot, ipis: readonly Ipi[]): string {
  const { cpu, program } = vcpu;
  if (typeof cpu === 'string') return 'triple fault';
  const reset = isReset(cpu);
  const where = reset ? '' : `; at ${place(cpu.regs.rip, program)}${instruction(cpu)}`;
  return `triple fault: ${tripleFault(vcpu, cpu, reset, ipis)}${where}`;
}

function instruction(cpu: CpuSnapshot): string {
  const found = instructionAt(cpu, cpu.regs.rip);
  return found ? `: ${found.text}` : '';
}

function tripleFault(vcpu: VcpuSnapshot, cpu: CpuSnapshot, reset: boolean, ipis: readonly Ipi[]): string {
  const { idt } = cpu.sregs;
  const last = ipis
    .filter((ipi) => ['fixed', 'lowestPriority', 'nmi'].includes(ipi.command.deliveryMode) && names(ipi, vcpu))
    // One that was handled is not what brought it down.
    .filter((ipi) => !vcpu.counters.has(ipi.command.deliveryMode === 'nmi' ? 2 : ipi.command.vector))
    .at(-1);
  const sent = last ? `; ${describeSender(last)} had sent it ${describeIpi(last)}` : '';
  if (reset) {
    if (vcpu.program && !vcpu.program.idt)
      return `an exception or interrupt came, and it was started with an empty IDT (limit 0)${sent}`;
    return `an exception could not be delivered; KVM has reset the registers, so the place is not known${sent}`;
  }
  if (idt.limit === 0) {
    const came = cpu.lapic?.isr.at(-1);
    if (came !== undefined) return `vector ${hex(came)} came, and the IDT is empty (limit 0)`;
    return `an exception or interrupt came, and the IDT is empty (limit 0)${sent}`;
  }
  const code = cpu.code.bytes.length === 0 ? ', RIP is not in guest memory' : '';
  return `an exception could not be delivered${code}, IDT at ${hex(idt.base)} (limit ${hex(idt.limit)}), RSP ${hex(cpu.regs.rsp)}${sent}`;
}

function notEmulated({ cpu, program }: VcpuSnapshot, exit: InternalErrorExit): string {
  const name = `KVM_EXIT_INTERNAL_ERROR, ${exit.suberrorName ?? `suberror ${exit.suberror}`}`;
  if (typeof cpu !== 'string' && cpu.code.bytes.length === 0 && !exit.insnBytes)
    return `it executes at ${place(cpu.regs.rip, program)}, which is not in guest memory (${name})`;
  // There KVM runs by emulation what hardware would, and lacks some instructions: nothing is wrong with the guest.
  const lacks = exit.suberrorName === 'KVM_INTERNAL_ERROR_EMULATION' && emulatesGuests();
  const why = lacks
    ? `this host's KVM works without hardware virtualization and cannot emulate the instruction (${name})`
    : `KVM could not go on (${name})`;
  if (typeof cpu === 'string') return why;
  const at = ` at ${place(cpu.regs.rip, program)}`;
  const told = exit.insnBytes?.length
    ? disassemble(exit.insnBytes, { mode: cpu.mode, origin: cpu.regs.rip, count: 1 })[0]
    : undefined;
  const found = told ?? instructionAt(cpu, cpu.regs.rip);
  return found ? `${why}${at}: ${found.text}` : `${why}${at}`;
}
