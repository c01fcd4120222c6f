/** What user space answers an exit with, in kvm_run: the next KVM_RUN gives it to the guest. */
import {
  exitReasons,
  KVM_EXIT_HYPERV_HCALL,
  KVM_EXIT_HYPERV_SYNDBG,
  KVM_EXIT_IO_IN,
} from '../../abi/kvm/exit-reason.ts';
import { type KvmRunView, RUN_UNION_OFFSET } from '../../abi/kvm/kvm-run.ts';
import { checkBytes, checkInteger, checkU64 } from '../../base/check.ts';
import { ArgumentError } from '../../base/errors.ts';
import { hex, plural } from '../../base/text.ts';
import { HYPERV_BODY_OFFSET, runHyperv, runHypervHcall, runHypervSyndbg } from '../../exit/hyperv.ts';
import { runIo, runMmio } from '../../exit/io.ts';
import { runMsr } from '../../exit/msr.ts';
import { ExitMismatchError } from './errors.ts';

/** What a read gives: a number, lowest byte first, that each access gets; or the bytes of all of them. */
export type ReadAnswer = number | bigint | Uint8Array;

/** Source: include/uapi/linux/kvm.h, struct kvm_run: `io` (data_offset), `mmio` (data). */
export function completeRead(run: KvmRunView, answer: ReadAnswer): void {
  const { bytes, size } = readOf(run);
  if (answer instanceof Uint8Array) {
    bytes.set(checkBytes('answer', answer, bytes.length, bytes.length));
    return;
  }
  const value =
    typeof answer === 'bigint' ? answer : BigInt(checkInteger('answer', answer, 0, Number.MAX_SAFE_INTEGER));
  if (BigInt.asUintN(size * 8, value) !== value)
    throw new ArgumentError(
      'answer',
      `answer ${hex(value)} does not fit into a read of ${plural(size, 'byte')}`,
      `Give 0 to 2^${size * 8} - 1, or a Uint8Array of ${plural(bytes.length, 'byte')}.`,
    );
  for (let at = 0; at < bytes.length; at++) bytes[at] = Number((value >> BigInt((at % size) * 8)) & 0xffn);
}

/** Where the answer goes, and how many bytes each access has. */
function readOf({ exitReason, view }: KvmRunView): { bytes: Uint8Array; size: number } {
  const at = (offset: number, length: number) => new Uint8Array(view.buffer, view.byteOffset + offset, length);
  if (exitReason === exitReasons.KVM_EXIT_IO) {
    const { direction, size, count, dataOffset } = runIo.read(view, RUN_UNION_OFFSET);
    const length = size * count;
    if (direction === KVM_EXIT_IO_IN && size > 0 && dataOffset + BigInt(length) <= BigInt(view.byteLength))
      return { bytes: at(Number(dataOffset), length), size };
  }
  if (exitReason === exitReasons.KVM_EXIT_MMIO) {
    const { len, isWrite } = runMmio.read(view, RUN_UNION_OFFSET);
    const size = Math.min(len, 8);
    if (!isWrite && size > 0) return { bytes: at(RUN_UNION_OFFSET + runMmio.fields.data.offset, size), size };
  }
  throw new ExitMismatchError('KVM_EXIT_IO of an `in`, or KVM_EXIT_MMIO of a read', exitReason);
}

export function completeRdmsr(run: KvmRunView, data: bigint): void {
  checkU64('data', data);
  answerMsr(run, ['KVM_EXIT_X86_RDMSR'], { error: 0, data });
}

export function completeWrmsr(run: KvmRunView): void {
  answerMsr(run, ['KVM_EXIT_X86_WRMSR'], { error: 0 });
}

export function failMsr(run: KvmRunView): void {
  answerMsr(run, ['KVM_EXIT_X86_RDMSR', 'KVM_EXIT_X86_WRMSR'], { error: 1 });
}

export function completeHypervHcall(run: KvmRunView, result: bigint): void {
  checkU64('result', result);
  runHypervHcall.write(hypervBody(run, KVM_EXIT_HYPERV_HCALL, 'hypercall'), { result });
}

export function completeHypervSyndbg(run: KvmRunView, status: bigint): void {
  checkU64('status', status);
  runHypervSyndbg.write(hypervBody(run, KVM_EXIT_HYPERV_SYNDBG, 'synthetic debugger'), { status });
}

function answerMsr(
  run: KvmRunView,
  wanted: readonly ('KVM_EXIT_X86_RDMSR' | 'KVM_EXIT_X86_WRMSR')[],
  answer: { error: number; data?: bigint },
): void {
  if (!wanted.some((name) => exitReasons[name] === run.exitReason))
    throw new ExitMismatchError(wanted.join(' or '), run.exitReason);
  runMsr.write(run.view, answer, RUN_UNION_OFFSET);
}

function hypervBody(run: KvmRunView, type: number, what: string): DataView {
  const isOne =
    run.exitReason === exitReasons.KVM_EXIT_HYPERV && runHyperv.read(run.view, RUN_UNION_OFFSET).type === type;
  if (!isOne) throw new ExitMismatchError(`KVM_EXIT_HYPERV of a ${what}`, run.exitReason);
  const { buffer, byteOffset } = run.view;
  return new DataView(buffer, byteOffset + RUN_UNION_OFFSET + HYPERV_BODY_OFFSET);
}
