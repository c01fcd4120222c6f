/** An `Exit` as one sentence for people, and as JSON for other programs. */

import { describeIcr, type IcrCommand } from '../abi/apic/icr.ts';
import { lapicRegisterName } from '../abi/apic/lapic.ts';
import { KVM_MEMORY_EXIT_FLAG_PRIVATE, KVM_NOTIFY_CONTEXT_INVALID } from '../abi/kvm/exit-reason.ts';
import { checkObject, checkText } from '../base/check.ts';
import type { DsmSendIrqExit, Exit, HypervExit, InternalErrorExit, TdxExit } from './exit.ts';

export type JsonValue = string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue };

/** An exit's part of a line of `run --json`. */
export type ExitJson = { reason: number; name: string } & { [key: string]: JsonValue };

/**
 * The exit as JSON: u64 values become hex strings (`"0x100a"`), bytes become hex without a prefix (`"00ff"`). Of an ICR
 * six fields are given: vector, deliveryMode, destinationMode, level, trigger, shorthand; the rest is in the raw value.
 */
export function exitToJson(exit: Exit): ExitJson {
  checkText('name', checkObject('exit', exit).name);
  const json: ExitJson = { reason: exit.reason, name: exit.name };
  for (const [key, value] of Object.entries(exit)) {
    // ICR2's fields are `destId` and the reserved bits of `val2`.
    if (key === 'name' || key === 'reason' || key === 'icr2') continue;
    json[key] = key === 'icr' ? icrToJson(value as IcrCommand) : toJson(value);
  }
  return json;
}

function icrToJson(icr: IcrCommand): JsonValue {
  const { vector, deliveryMode, destinationMode, level, trigger, shorthand } = icr;
  return { vector, deliveryMode, destinationMode, level, trigger, shorthand };
}

function toJson(value: unknown): JsonValue {
  if (typeof value === 'bigint') return hex(value);
  if (value instanceof Uint8Array) return hexBytes(value, '');
  if (Array.isArray(value)) return value.map(toJson);
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, toJson(member)]));
  }
  return value as string | number | boolean | null;
}

/** The exit as one sentence: `KVM_EXIT_IO: out 1 byte to port 0x10: 2a`. */
export function describeExit(exit: Exit): string {
  checkText('name', checkObject('exit', exit).name);
  return `${exit.name === 'unrecognized' ? 'an exit that is not recognized' : exit.name}${describePayload(exit)}`;
}

/** Starts with `: `, or is empty for an exit without payload. */
function describePayload(exit: Exit): string {
  switch (exit.name) {
    case 'KVM_EXIT_DSM_SEND_IRQ':
      return `: vCPU ${exit.id} ${describeWrite(exit)}`;
    case 'KVM_EXIT_DSM_X2_ICR':
      return `: vCPU ${exit.id} wrote x2APIC ICR = ${hex(exit.data, 16)} (${describeIcr(exit.icr)})${target(exit.icr, exit.icr.destination)}`;
    case 'KVM_EXIT_DSM_APIC_BASE':
      return `: ${exit.host ? 'the host' : 'the guest'} wrote MSR ${hex(exit.index)} of vCPU ${exit.id} = ${hex(exit.data)}`;
    case 'KVM_EXIT_DAPIC': {
      const register = lapicRegisterName(exit.offset);
      return `: vCPU ${exit.localCpuid} accessed its APIC page at ${hex(exit.offset, 3)}${register ? ` (${register})` : ''}`;
    }
    case 'KVM_EXIT_IO': {
      const data = exit.direction === 'out' ? `: ${hexBytes(exit.data, ' ')}` : '';
      const what = `${exit.direction} ${bytes(exit.size)} ${exit.direction === 'out' ? 'to' : 'from'} port ${hex(exit.port)}`;
      return `: ${what}${exit.count === 1 ? '' : `, ${exit.count} times`}${data}`;
    }
    case 'KVM_EXIT_MMIO':
      return exit.isWrite
        ? `: wrote ${bytes(exit.len)} to ${hex(exit.physAddr)}: ${hexBytes(exit.data, ' ')}`
        : `: read ${bytes(exit.len)} from ${hex(exit.physAddr)}`;
    case 'KVM_EXIT_UNKNOWN':
      return `: the hardware left the guest with reason ${hex(exit.hardwareExitReason)}, which KVM does not handle`;
    case 'KVM_EXIT_EXCEPTION':
      return `: exception ${exit.exception}, error code ${hex(exit.errorCode)}`;
    case 'KVM_EXIT_HYPERCALL':
      return `: hypercall ${exit.nr} (${exit.args.map((arg) => hex(arg)).join(', ')})`;
    case 'KVM_EXIT_DEBUG':
      return `: exception ${exit.exception} at ${hex(exit.pc)}, DR6 ${hex(exit.dr6)}, DR7 ${hex(exit.dr7)}`;
    case 'KVM_EXIT_FAIL_ENTRY':
      return `: CPU ${exit.cpu} refused to enter the guest, hardware reason ${hex(exit.hardwareEntryFailureReason)}`;
    case 'KVM_EXIT_SET_TPR':
      return `: the guest set CR8 to ${hex(exit.cr8)}`;
    case 'KVM_EXIT_TPR_ACCESS':
      return `: the guest ${exit.isWrite ? 'wrote' : 'read'} the TPR at ${hex(exit.rip)}`;
    case 'KVM_EXIT_INTERNAL_ERROR':
      return `: ${describeInternalError(exit)}`;
    case 'KVM_EXIT_SYSTEM_EVENT':
      return `: ${exit.typeName ?? `type ${exit.type}`}${words(exit.data)}`;
    case 'KVM_EXIT_IOAPIC_EOI':
      return `: EOI of vector ${hex(exit.vector)}`;
    case 'KVM_EXIT_HYPERV':
      return `: ${describeHyperv(exit)}`;
    case 'KVM_EXIT_X86_RDMSR':
      return `: the guest read MSR ${hex(exit.index)} (reason bits ${hex(exit.msrReason)})`;
    case 'KVM_EXIT_X86_WRMSR':
      return `: the guest wrote MSR ${hex(exit.index)} = ${hex(exit.data)} (reason bits ${hex(exit.msrReason)})`;
    case 'KVM_EXIT_XEN':
      return exit.hcall === null
        ? `: type ${exit.type}`
        : `: hypercall ${hex(exit.hcall.input)} from CPL ${exit.hcall.cpl}${words(exit.hcall.params)}`;
    case 'KVM_EXIT_NOTIFY':
      return `: no event window${exit.flags & KVM_NOTIFY_CONTEXT_INVALID ? ', and the context is invalid' : ''}`;
    case 'KVM_EXIT_MEMORY_FAULT': {
      const kind = exit.flags & BigInt(KVM_MEMORY_EXIT_FLAG_PRIVATE) ? 'private' : 'shared';
      return `: ${exit.size} bytes at ${hex(exit.gpa)} were used as ${kind} memory (flags ${hex(exit.flags)})`;
    }
    case 'KVM_EXIT_TDX':
      return `: ${describeTdx(exit)}`;
    case 'KVM_EXIT_SNP_REQ_CERTS':
      return `: certificates wanted at ${hex(exit.gpa)}, room for ${exit.npages} pages`;
    case 'unrecognized':
      return `: reason ${exit.reason}, payload ${hexBytes(exit.raw.subarray(0, 32), ' ')} ...`;
    default:
      return 'raw' in exit ? `: payload ${hexBytes(exit.raw.subarray(0, 32), ' ')} ...` : '';
  }
}

function describeWrite(exit: DsmSendIrqExit): string {
  const register = exit.register ?? lapicRegisterName(exit.val) ?? `register ${hex(exit.val)}`;
  const write = `wrote ${register} = ${hex(exit.val2, 8)}`;
  if (exit.icr) return `${write} (${describeIcr(exit.icr)})${target(exit.icr, exit.destId)}`;
  // Whether the destination is an APIC id or a logical one is for the ICR to say.
  return exit.icr2 ? `${write} (destination ${hex(exit.icr2.destination, 2)})` : write;
}

/** Under a shorthand the destination field means nothing, so it is not named. */
function target(icr: IcrCommand, destination: number): string {
  if (icr.shorthand !== 'none') return '';
  return icr.destinationMode === 'logical' ? ` for logical id ${hex(destination)}` : ` for APIC id ${destination}`;
}

function describeInternalError(exit: InternalErrorExit): string {
  const insn = exit.insnBytes?.length ? `, instruction ${hexBytes(exit.insnBytes, ' ')}` : '';
  return `${exit.suberrorName ?? `suberror ${exit.suberror}`}${insn}${words(exit.data)}`;
}

function describeHyperv(exit: HypervExit): string {
  if (exit.synic) return `SynIC MSR ${hex(exit.synic.msr)}, SCONTROL ${hex(exit.synic.control)}`;
  if (exit.hcall) return `hypercall ${hex(exit.hcall.input)}${words(exit.hcall.params)}`;
  if (exit.syndbg) return `synthetic debugger MSR ${hex(exit.syndbg.msr)}`;
  return `type ${exit.type}`;
}

function describeTdx(exit: TdxExit): string {
  const { call } = exit;
  switch (call?.leaf) {
    case 'getQuote':
      return `the guest asks for a quote in ${call.size} bytes at ${hex(call.gpa)}`;
    case 'getTdVmCallInfo':
      return `the guest asks which TDVMCALLs there are, leaf ${hex(call.subleaf)}`;
    case 'setupEventNotify':
      return `the guest wants event notifications on vector ${hex(call.vector)}`;
    default:
      return `TDVMCALL ${hex(exit.nr)}`;
  }
}

function words(data: readonly bigint[]): string {
  return data.length === 0 ? '' : `, data ${data.map((word) => hex(word)).join(' ')}`;
}

function bytes(count: number): string {
  return count === 1 ? '1 byte' : `${count} bytes`;
}

function hex(value: number | bigint, digits = 1): string {
  return `0x${value.toString(16).padStart(digits, '0')}`;
}

function hexBytes(data: Uint8Array, separator: string): string {
  return Array.from(data, (byte) => byte.toString(16).padStart(2, '0')).join(separator);
}
