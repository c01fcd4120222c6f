/** From kvm_run to one `Exit`: every exit of KVM on x86, DSM's by profile. */

import { decodeIcr, decodeIcr2, decodeX2Icr } from '../abi/apic/icr.ts';
import { lapicRegisters } from '../abi/apic/lapic.ts';
import { checkProfile, type DsmProfile, defaultProfile } from '../abi/dsm/profiles.ts';
import {
  exitReasonName,
  exitReasons,
  internalErrorName,
  KVM_EXIT_HYPERV_HCALL,
  KVM_EXIT_HYPERV_SYNDBG,
  KVM_EXIT_HYPERV_SYNIC,
  KVM_EXIT_IO_IN,
  KVM_EXIT_XEN_HCALL,
  KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES,
  systemEventName,
  TDVMCALL_GET_QUOTE,
  TDVMCALL_GET_TD_VM_CALL_INFO,
  TDVMCALL_SETUP_EVENT_NOTIFY_INTERRUPT,
} from '../abi/kvm/exit-reason.ts';
import {
  copyUnion,
  HYPERV_BODY_OFFSET,
  KvmRunView,
  RUN_UNION_OFFSET,
  runDebug,
  runEmulationFailure,
  runEoi,
  runEx,
  runFailEntry,
  runHw,
  runHypercall,
  runHyperv,
  runHypervHcall,
  runHypervSyndbg,
  runHypervSynic,
  runInternal,
  runIo,
  runMemoryFault,
  runMmio,
  runMsr,
  runNotify,
  runSnpReqCerts,
  runSystemEvent,
  runTdx,
  runTprAccess,
  runXen,
  runXenHcall,
  XEN_BODY_OFFSET,
} from '../abi/kvm/kvm-run.ts';
import type { Exit, InternalErrorExit, IoExit, TdxCall } from './exit.ts';

export type * from './exit.ts';
export { describeExit, type ExitJson, exitToJson, type JsonValue } from './text.ts';

const U = RUN_UNION_OFFSET;

/**
 * Decodes the exit that lies in a vCPU's mapping. What it returns is a copy: the next KVM_RUN does not change it. A
 * number of the profile goes before one of mainline. Nothing in the mapping makes it throw; a view that ends before
 * kvm_run's union does (288 bytes) is an ArgumentError.
 */
export function decodeExit(run: DataView | KvmRunView, profile: DsmProfile = defaultProfile): Exit {
  if (profile !== defaultProfile) checkProfile(profile);
  const { view, exitReason } = run instanceof KvmRunView ? run : new KvmRunView(run);
  return decodeDsmExit(view, exitReason, profile) ?? decodeMainlineExit(view, exitReason);
}

function decodeDsmExit(view: DataView, reason: number, { exits }: DsmProfile): Exit | undefined {
  if (reason === exits.KVM_EXIT_DSM_SEND_IRQ.reason) {
    const { fields } = exits.KVM_EXIT_DSM_SEND_IRQ.payload;
    const val = fields.val.read(view, U);
    const val2 = fields.val2.read(view, U);
    const id = fields.id.read(view, U);
    const destId = fields.destId.read(view, U);
    // Literals in full, here and in decodeIcr: object spread costs many times as much, and this is the hot exit.
    const name = 'KVM_EXIT_DSM_SEND_IRQ';
    if (val === lapicRegisters.ICR) {
      return { name, reason, id, val, val2, destId, register: 'ICR', icr: decodeIcr(val2) };
    }
    if (val === lapicRegisters.ICR2) {
      return { name, reason, id, val, val2, destId, register: 'ICR2', icr2: decodeIcr2(val2) };
    }
    return { name, reason, id, val, val2, destId, register: null };
  }
  if (reason === exits.KVM_EXIT_DSM_X2_ICR.reason) {
    const { id, data } = exits.KVM_EXIT_DSM_X2_ICR.payload.read(view, U);
    return { name: 'KVM_EXIT_DSM_X2_ICR', reason, id, data, icr: decodeX2Icr(data) };
  }
  if (reason === exits.KVM_EXIT_DSM_APIC_BASE.reason) {
    return { name: 'KVM_EXIT_DSM_APIC_BASE', reason, ...exits.KVM_EXIT_DSM_APIC_BASE.payload.read(view, U) };
  }
  if (reason === exits.KVM_EXIT_DAPIC.reason) {
    return { name: 'KVM_EXIT_DAPIC', reason, ...exits.KVM_EXIT_DAPIC.payload.read(view, U), raw: copyUnion(view) };
  }
  return undefined;
}

function decodeMainlineExit(view: DataView, reason: number): Exit {
  const name = exitReasonName(reason);
  switch (name) {
    case undefined:
      return { name: 'unrecognized', reason, raw: copyUnion(view) };
    case 'KVM_EXIT_HLT':
    case 'KVM_EXIT_IRQ_WINDOW_OPEN':
    case 'KVM_EXIT_SHUTDOWN':
    case 'KVM_EXIT_INTR':
    case 'KVM_EXIT_NMI':
    case 'KVM_EXIT_DIRTY_RING_FULL':
    case 'KVM_EXIT_AP_RESET_HOLD':
    case 'KVM_EXIT_X86_BUS_LOCK':
      return { name, reason };
    case 'KVM_EXIT_IO':
      return decodeIo(view);
    case 'KVM_EXIT_MMIO': {
      const { physAddr, data, len, isWrite } = runMmio.read(view, U);
      return { name, reason, physAddr, len, isWrite: isWrite !== 0, data: data.subarray(0, len) };
    }
    case 'KVM_EXIT_UNKNOWN':
      return { name, reason, ...runHw.read(view, U) };
    case 'KVM_EXIT_EXCEPTION':
      return { name, reason, ...runEx.read(view, U) };
    case 'KVM_EXIT_HYPERCALL':
      return { name, reason, ...runHypercall.read(view, U) };
    case 'KVM_EXIT_DEBUG':
      return { name, reason, ...runDebug.read(view, U) };
    case 'KVM_EXIT_FAIL_ENTRY':
      return { name, reason, ...runFailEntry.read(view, U) };
    case 'KVM_EXIT_SET_TPR':
      return { name, reason, cr8: view.getBigUint64(16, true) };
    case 'KVM_EXIT_TPR_ACCESS': {
      const { rip, isWrite } = runTprAccess.read(view, U);
      return { name, reason, rip, isWrite: isWrite !== 0 };
    }
    case 'KVM_EXIT_INTERNAL_ERROR':
      return decodeInternalError(view);
    case 'KVM_EXIT_SYSTEM_EVENT': {
      const { type, ndata, data } = runSystemEvent.read(view, U);
      return {
        name,
        reason,
        type,
        typeName: systemEventName(type) ?? null,
        ndata,
        data: data.slice(0, ndata),
        raw: copyUnion(view),
      };
    }
    case 'KVM_EXIT_IOAPIC_EOI':
      return { name, reason, ...runEoi.read(view, U) };
    case 'KVM_EXIT_HYPERV': {
      const { type } = runHyperv.read(view, U);
      const body = U + HYPERV_BODY_OFFSET;
      return {
        name,
        reason,
        type,
        synic: type === KVM_EXIT_HYPERV_SYNIC ? runHypervSynic.read(view, body) : null,
        hcall: type === KVM_EXIT_HYPERV_HCALL ? runHypervHcall.read(view, body) : null,
        syndbg: type === KVM_EXIT_HYPERV_SYNDBG ? runHypervSyndbg.read(view, body) : null,
        raw: copyUnion(view),
      };
    }
    case 'KVM_EXIT_X86_RDMSR':
    case 'KVM_EXIT_X86_WRMSR': {
      const { error, reason: msrReason, index, data } = runMsr.read(view, U);
      return { name, reason, error, msrReason, index, data };
    }
    case 'KVM_EXIT_XEN': {
      const { type } = runXen.read(view, U);
      const hcall = type === KVM_EXIT_XEN_HCALL ? runXenHcall.read(view, U + XEN_BODY_OFFSET) : null;
      return { name, reason, type, hcall, raw: copyUnion(view) };
    }
    case 'KVM_EXIT_NOTIFY':
      return { name, reason, ...runNotify.read(view, U) };
    case 'KVM_EXIT_MEMORY_FAULT':
      return { name, reason, ...runMemoryFault.read(view, U) };
    case 'KVM_EXIT_TDX': {
      const { flags, nr, ret, data } = runTdx.read(view, U);
      return { name, reason, flags, nr, ret, call: tdxCall(nr, data), raw: copyUnion(view) };
    }
    case 'KVM_EXIT_SNP_REQ_CERTS':
      return { name, reason, ...runSnpReqCerts.read(view, U) };
    default:
      return { name, reason, raw: copyUnion(view) };
  }
}

function decodeIo(view: DataView): IoExit {
  const { direction, size, port, count, dataOffset } = runIo.read(view, U);
  const start = dataOffset < BigInt(view.byteLength) ? Number(dataOffset) : view.byteLength;
  const length = Math.min(size * count, view.byteLength - start);
  return {
    name: 'KVM_EXIT_IO',
    reason: exitReasons.KVM_EXIT_IO,
    direction: direction === KVM_EXIT_IO_IN ? 'in' : 'out',
    size,
    port,
    count,
    dataOffset,
    data: new Uint8Array(view.buffer, view.byteOffset + start, length).slice(),
  };
}

function decodeInternalError(view: DataView): InternalErrorExit {
  const { suberror, ndata, data } = runInternal.read(view, U);
  const suberrorName = internalErrorName(suberror) ?? null;
  let insnBytes: Uint8Array | null = null;
  // Three words: the flags, and 16 bytes of instruction. Kernels before 5.15 give fewer.
  if (suberrorName === 'KVM_INTERNAL_ERROR_EMULATION' && ndata >= 3) {
    const failure = runEmulationFailure.read(view, U);
    if (failure.flags & BigInt(KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES)) {
      insnBytes = failure.insnBytes.subarray(0, failure.insnSize);
    }
  }
  return {
    name: 'KVM_EXIT_INTERNAL_ERROR',
    reason: exitReasons.KVM_EXIT_INTERNAL_ERROR,
    suberror,
    suberrorName,
    ndata,
    data: data.slice(0, ndata),
    insnBytes,
    raw: copyUnion(view),
  };
}

function tdxCall(nr: bigint, data: readonly bigint[]): TdxCall {
  const [first, second, third, fourth, fifth] = data as [bigint, bigint, bigint, bigint, bigint];
  switch (nr) {
    case BigInt(TDVMCALL_GET_TD_VM_CALL_INFO):
      return { leaf: 'getTdVmCallInfo', subleaf: first, r11: second, r12: third, r13: fourth, r14: fifth };
    case BigInt(TDVMCALL_GET_QUOTE):
      return { leaf: 'getQuote', gpa: first, size: second };
    case BigInt(TDVMCALL_SETUP_EVENT_NOTIFY_INTERRUPT):
      return { leaf: 'setupEventNotify', vector: first };
    default:
      return null;
  }
}
