/** What user space answers an exit with, in kvm_run: the next KVM_RUN gives it to the guest. */
import { exitReasons, KVM_EXIT_HYPERV_HCALL, KVM_EXIT_HYPERV_SYNDBG } from '../../abi/kvm/exit-reason.ts';
import { type KvmRunView, RUN_UNION_OFFSET } from '../../abi/kvm/kvm-run.ts';
import { checkU64 } from '../../base/check.ts';
import { HYPERV_BODY_OFFSET, runHyperv, runHypervHcall, runHypervSyndbg } from '../../exit/hyperv.ts';
import { runMsr } from '../../exit/msr.ts';
import { ExitMismatchError } from './errors.ts';

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
