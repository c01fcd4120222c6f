import { KvmDsmError } from '../errors.ts';
import { vectorName } from '../guest/exceptions.ts';
import { describeFault, type GuestFault } from '../guest/fault.ts';

/** What came out of the guest is not what the script expected. */
export class ExpectationError extends KvmDsmError {
  readonly code = 'ERR_EXPECTATION';
  /** The kinds of exit that were compared. */
  readonly kinds: readonly string[];
  /** How many exits of these kinds came. */
  readonly seen: number;

  constructor(message: string, kinds: readonly string[], seen: number) {
    super(message, { advice: 'Compare the two lists; the trace holds every exit.' });
    this.kinds = kinds;
    this.seen = seen;
  }
}

/** The guest cannot go on: triple fault, failed entry, or an instruction that KVM cannot emulate. */
export class GuestFailureError extends KvmDsmError {
  readonly code = 'ERR_GUEST_FAILURE';
  /** Registers and more, as lines for a person. */
  readonly report: string;

  constructor(message: string, report: string) {
    super(message, {
      advice: 'Look at the instruction at RIP and at the state that it needs (IDT, stack, mapped memory).',
    });
    this.report = report;
  }
}

/** The guest had an exception, or in real mode an interrupt, that its program does not handle. */
export class GuestFaultError extends KvmDsmError {
  readonly code = 'ERR_GUEST_FAULT';
  readonly vcpuId: number;
  /** 0 to 255. */
  readonly vector: number;
  /** What the CPU pushed; `undefined` if the stack cannot be read. */
  readonly fault: GuestFault | undefined;
  /** Registers and more, as lines for a person. */
  readonly report: string;

  constructor(vcpuId: number, vector: number, fault: GuestFault | undefined, report: string) {
    super(`vCPU ${vcpuId}: ${fault ? describeFault(fault) : vectorName(vector)}`, {
      advice:
        'Look at the instruction there; a program may handle the vector itself: `handlers`, or wait for it: `until`.',
    });
    this.vcpuId = vcpuId;
    this.vector = vector;
    this.fault = fault;
    this.report = report;
  }
}

/** An assertion that the guest makes did not hold. */
export class GuestAssertionError extends KvmDsmError {
  readonly code = 'ERR_GUEST_ASSERTION';
  readonly vcpuId: number;
  /** What was there, 0..2^32-1. */
  readonly actual: number;
  /** Registers and more, as lines for a person. */
  readonly report: string;

  constructor(vcpuId: number, text: string, actual: number, report: string) {
    super(`vCPU ${vcpuId}: assertion failed: ${text}, got 0x${actual.toString(16)}`, {
      advice: 'Look at what the guest did before it: the trace, and the code before RIP.',
    });
    this.vcpuId = vcpuId;
    this.actual = actual;
    this.report = report;
  }
}
