/** Hyper-V's SynIC, from the guest's side. What writes an MSR changes eax, ecx, edx. */
import {
  encodeSint,
  encodeSynicPage,
  hypervMsrs,
  MESSAGE_PENDING,
  SINTS,
  type Sint,
  SYNIC_SLOT,
} from '../../abi/hyperv.ts';
import { checkChoice, checkInteger, checkU64 } from '../../base/check.ts';
import { ArgumentError } from '../../base/errors.ts';
import { integer, optional, orNull, shape } from '../../base/shape.ts';
import { show } from '../../base/text.ts';
import { type Snippet, snippet } from '../snippet.ts';

const registers = ['SCONTROL', 'SIEFP', 'SIMP', 'EOM'] as const satisfies readonly SynicRegister[];
/** A register of the SynIC, or the number of a SINT, 0 to 15. */
export type SynicRegister = 'SCONTROL' | 'SIEFP' | 'SIMP' | 'EOM' | number;

/** Writes an MSR. */
export function writeMsr(index: number, value: number | bigint): Snippet {
  checkInteger('index', index, 0, 0xffff_ffff);
  const bits = checkU64('value', value);
  return snippet`
    mov ecx, ${index}
    mov eax, ${bits & 0xffff_ffffn}
    mov edx, ${bits >> 32n}
    wrmsr`;
}

/** Reads an MSR into edx:eax. Changes ecx. */
export function readMsr(index: number): Snippet {
  checkInteger('index', index, 0, 0xffff_ffff);
  return snippet`
    mov ecx, ${index}
    rdmsr`;
}

/** Writes a register of the SynIC. KVM_RUN returns with KVM_EXIT_HYPERV after a write of SCONTROL, SIEFP and SIMP. */
export function writeSynic(register: SynicRegister, value: number | bigint): Snippet {
  return writeMsr(msrOf(register), value);
}

function msrOf(register: SynicRegister): number {
  if (typeof register === 'number') return hypervMsrs.SINT0 + checkInteger('register', register, 0, SINTS - 1);
  return hypervMsrs[checkChoice('register', register, registers)];
}

/** Where the SynIC's pages are in guest physical memory. */
export interface SynicPlaces {
  /** SIMP. `null` disables the page. Left out: not written. */
  messages?: number | null;
  /** SIEFP. */
  events?: number | null;
}

const pageAddress = optional(orNull(integer(0, Number.MAX_SAFE_INTEGER)));
const synicPlaces = shape<SynicPlaces>('enableSynic() takes', { messages: pageAddress, events: pageAddress });

/** Enables SCONTROL, and the pages that are named: 1 to 3 exits. Addresses are multiples of 4096. */
export function enableSynic(places: SynicPlaces = {}): Snippet {
  const { messages, events } = synicPlaces.take(places, 'places');
  const page = (register: 'SIMP' | 'SIEFP', address: number | null | undefined) =>
    address === undefined ? '' : writeSynic(register, encodeSynicPage(address));
  return snippet`
    ${page('SIMP', messages)}
    ${page('SIEFP', events)}
    ${writeSynic('SCONTROL', 1)}`;
}

/** SCONTROL without its enable bit. */
export function disableSynic(): Snippet {
  return writeSynic('SCONTROL', 0);
}

/** Sets up a SINT. @param sint 0 to 15 */
export function setSint(sint: number, fields: Sint): Snippet {
  return writeSynic(checkInteger('sint', sint, 0, SINTS - 1), encodeSint(fields));
}

/** EOM: acknowledges every SINT of this vCPU, and has the host post what waits. */
export function endOfMessage(): Snippet {
  return writeSynic('EOM', 0);
}

/** Guest physical address of a SINT's slot in the message page. */
export function messageSlot(page: number, sint: number): number {
  return checkInteger('page', page, 0, 0xffff_f000) + checkInteger('sint', sint, 0, SINTS - 1) * SYNIC_SLOT;
}

/**
 * Frees a message slot that was read: its type becomes 0, and if another message waits it writes EOM. In this order, with
 * a fence in between: otherwise the message that waits may never come.
 *
 * @param slot a guest physical address: `messageSlot(page, sint)`
 */
export function freeMessage(slot: number): Snippet {
  checkInteger('slot', slot, 0, 0xffff_ffff);
  if (slot % SYNIC_SLOT !== 0)
    throw new ArgumentError('slot', `${show(slot)} is not at the begin of a slot`, 'Give messageSlot(page, sint).');
  return snippet`
    mov dword [${slot}], 0
    lock or dword [${slot}], 0
    test byte [${slot + 5}], ${MESSAGE_PENDING}
    jz %%none
    ${endOfMessage()}
%%none:`;
}

/**
 * Takes an event flag back: carry is set if it was set. In one step, since the host may set others meanwhile.
 *
 * @param page the event flags page @param flag 0 to 2047
 */
export function takeEventFlag(page: number, sint: number, flag: number): Snippet {
  const slot = messageSlot(page, sint);
  checkInteger('flag', flag, 0, 2047);
  return snippet`lock btr dword [${slot + (flag >> 5) * 4}], ${flag % 32}`;
}
