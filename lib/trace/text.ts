/** Events of a trace in words. */
import { lapicRegisterName } from '../abi/apic/lapic.ts';
import { vectorName } from '../abi/exceptions.ts';
import { hex, printable } from '../base/text.ts';
import { describeExit } from '../exit/text.ts';
import { describeFault, type GuestFault } from '../guest/fault.ts';
import type { GuestWord } from '../guest/protocol.ts';
import { type Act, isExit, type TraceEvent } from './event.ts';

/** One event of a trace in words, fit for a terminal whatever a guest has written into it. */
export function describeEvent(event: TraceEvent): string {
  return printable(wordsOf(event));
}

function wordsOf(event: TraceEvent): string {
  const where = event.node === undefined ? '' : ` node ${event.node}`;
  if (!isExit(event)) {
    const who = event.vcpu === undefined ? '' : ` vCPU ${event.vcpu}`;
    return `#${event.seq}${where}${who} ${event.act}  ${event.ioctl === undefined ? '' : `${event.ioctl} `}${event.detail}`;
  }
  const what = event.word ? describeWord(event.word, event.fault) : describeExit(event.exit);
  return `#${event.seq}${where} vCPU ${event.vcpu} rip ${hex(event.rip)}  ${what}`;
}

/** What an act was, beside its ioctl and its vCPU. */
export function describeAct(act: Act): string {
  switch (act.ioctl) {
    case 'KVM_SIGNAL_MSI': {
      const { addressLo, data } = act.message;
      return `address ${hex(addressLo)}, data ${hex(data)}${act.delivered ? '' : ', blocked'}`;
    }
    case 'KVM_IRQ_LINE':
      return describeLine(act);
    case 'KVM_IRQ_LINE_STATUS':
      // Of one vCPU's interrupt KVM may count several controllers: the number is no count of vCPUs.
      return `${describeLine(act)}, ${typeof act.status === 'string' ? act.status : 'delivered'}`;
    case 'KVM_DSM_IPI':
      return `${lapicRegisterName(act.write.val) ?? hex(act.write.val)} = ${hex(act.write.val2)}`;
    case 'KVM_DSM_X2APIC':
      return `x2APIC ICR = ${hex(act.write.data)}`;
    case 'KVM_DSM_APIC_BASE':
      return `IA32_APIC_BASE = ${hex(act.write.data)}${act.write.host ? ' (host)' : ''}`;
    case 'KVM_NMI':
      return 'NMI';
    case 'KVM_INTERRUPT':
      return `vector ${hex(act.vector)}`;
    case undefined:
      return 'out of the guest and in again';
  }
}

function describeLine({ gsi, level }: { gsi: number; level: boolean }): string {
  return `gsi ${gsi} ${level ? 'high' : 'low'}`;
}

function describeWord(word: GuestWord, fault: GuestFault | undefined): string {
  switch (word.kind) {
    case 'sync':
      return `sync ${JSON.stringify(word.name)}`;
    case 'value':
      return `value ${JSON.stringify(word.name)} = ${hex(word.value)}`;
    case 'done':
      return 'done';
    case 'assert':
      return `assertion failed: ${word.text}, got ${hex(word.actual)}`;
    case 'end':
      return 'ran past the end of its program';
    case 'handled':
      return `handled ${vectorName(word.vector)}`;
    case 'fault':
      return `fault ${fault ? describeFault(fault) : `vector ${hex(word.vector)}`}`;
  }
}
