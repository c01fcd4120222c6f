/** kvm_run and the payloads of every family, for tests that write them. */
export * from '../../../lib/abi/kvm/kvm-run.ts';
export * from '../../../lib/exit/confidential.ts';
export * from '../../../lib/exit/debug.ts';
export * from '../../../lib/exit/event.ts';
export * from '../../../lib/exit/failure.ts';
export * from '../../../lib/exit/hypercall.ts';
export * from '../../../lib/exit/hyperv.ts';
export * from '../../../lib/exit/io.ts';
export * from '../../../lib/exit/msr.ts';
