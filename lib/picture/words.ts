/** What happened, in the few words that fit into a column. */
import { lapicRegisterName } from '../abi/apic/lapic.ts';
import { vectorName } from '../abi/exceptions.ts';
import { describeDestination } from '../apic/describe.ts';
import { type Ipi, ipiOfMsi } from '../apic/ipi.ts';
import { hex, hexBytes, printable } from '../base/text.ts';
import type { Exit } from '../exit/exit.ts';
import { describeFault } from '../guest/fault.ts';
import { isExit, type TraceAct, type TraceEvent, type TraceExit } from '../trace/event.ts';

/** Fit for a terminal, whatever a guest has written. */
export function briefly(event: TraceEvent, ipi: Ipi | undefined): string {
  return printable(isExit(event) ? exitWords(event, ipi) : actWords(event));
}

const modes: Partial<Record<Ipi['command']['deliveryMode'], string>> = {
  lowestPriority: 'lowest',
  startUp: 'SIPI',
  init: 'INIT',
  nmi: 'NMI',
  smi: 'SMI',
};

/** `fixed 0xf0 to id 1`, `NMI to all but self`. */
export function ipiWords(ipi: Ipi): string {
  return `${kindWords(ipi)} to ${destinationWords(ipi)}`;
}

/** The same for a picture whose arrow shows to whom; `undefined` if the destination says more than that. */
export function ipiWordsBeside(ipi: Ipi): string | undefined {
  const { shorthand, destinationMode } = ipi.command;
  return shorthand === 'none' && destinationMode === 'physical' && !ipi.named ? kindWords(ipi) : undefined;
}

function kindWords(ipi: Ipi): string {
  const { deliveryMode, vector, level, trigger } = ipi.command;
  const deassert = deliveryMode === 'init' && trigger === 'level' && level === 'deassert' ? ' de-assert' : '';
  const hasVector = deliveryMode !== 'init' && deliveryMode !== 'nmi' && deliveryMode !== 'smi';
  return `${modes[deliveryMode] ?? deliveryMode}${hasVector ? ` ${hex(vector)}` : deassert}`;
}

function destinationWords(ipi: Ipi): string {
  if (ipi.named) return ipi.named.ids.length > 4 ? `${ipi.named.ids.length} vCPUs` : `id ${ipi.named.ids.join(', ')}`;
  return describeDestination(ipi)
    .replace('APIC id', 'id')
    .replace('logical id', 'logical')
    .replace('itself', 'self')
    .replace('all including self', 'all')
    .replace('all excluding self', 'all but self');
}

function exitWords({ exit, word, fault }: TraceExit, ipi: Ipi | undefined): string {
  if (ipi) return ipiWords(ipi);
  switch (word?.kind) {
    case 'sync':
      return `sync ${JSON.stringify(word.name)}`;
    case 'value':
      return `${word.name} = ${hex(word.value)}`;
    case 'done':
      return 'done';
    case 'assert':
      return `ASSERT ${word.text}, got ${hex(word.actual)}`;
    case 'end':
      return 'ran past its end';
    case 'handled':
      return `handled ${vectorName(word.vector)}`;
    case 'fault':
      return `FAULT ${fault ? describeFault(fault) : vectorName(word.vector)}`;
    case undefined:
      return plainExit(exit);
  }
}

function plainExit(exit: Exit): string {
  switch (exit.name) {
    case 'KVM_EXIT_DSM_SEND_IRQ':
      return `${exit.register ?? lapicRegisterName(exit.val) ?? hex(exit.val)} = ${hex(exit.val2)}`;
    case 'KVM_EXIT_DSM_APIC_BASE':
      return `APIC_BASE = ${hex(exit.data)}`;
    case 'KVM_EXIT_DSM_PV_IPI':
      return `PV ${exit.target ?? exit.type}`;
    case 'KVM_EXIT_IO': {
      const value = exit.direction === 'out' && exit.data.length <= 4 ? ` ${hexBytes(exit.data, '')}` : '';
      return `${exit.direction} ${hex(exit.port)}${value}`;
    }
    case 'KVM_EXIT_MMIO':
      return `mmio ${exit.isWrite ? 'write' : 'read'} ${hex(exit.physAddr)}`;
    default:
      return exit.name.replace('KVM_EXIT_', '').toLowerCase().replaceAll('_', ' ');
  }
}

function actWords(act: TraceAct): string {
  switch (act.ioctl) {
    case 'KVM_SIGNAL_MSI':
      return `MSI ${ipiWords(ipiOfMsi(act.message))}`;
    case 'KVM_NMI':
      return 'KVM_NMI';
    case 'KVM_INTERRUPT':
      return `interrupt ${hex(act.vector)}`;
    case 'KVM_IRQ_LINE':
    case 'KVM_IRQ_LINE_STATUS':
      return `gsi ${act.gsi} ${act.level ? 'high' : 'low'}`;
    case 'KVM_DSM_IPI':
      return `replay ${lapicRegisterName(act.write.val) ?? hex(act.write.val)} = ${hex(act.write.val2)}`;
    case 'KVM_DSM_X2APIC':
      return `replay x2 ICR = ${hex(act.write.data)}`;
    case 'KVM_DSM_APIC_BASE':
      return `APIC_BASE = ${hex(act.write.data)}`;
    case undefined:
      return `kick vCPU ${act.vcpu}`;
  }
}

/** Whether it is a write that only prepares one: its destination stands in the write that sends. */
export function isPreparation(exit: Exit): boolean {
  return exit.name === 'KVM_EXIT_DSM_SEND_IRQ' && exit.register === 'ICR2';
}
