/** What a script, an expectation or a guest failed of. */
import { type Failure, KvmDsmError } from '../base/errors.ts';
import type { GuestFault } from '../guest/fault.ts';

/** What came out of the guest is not what the script expected. */
export class ExpectationError extends KvmDsmError {
  readonly code: string = 'ERR_EXPECTATION';
  /** The kinds of exit that were compared. */
  readonly kinds: readonly string[];
  /** How many exits of these kinds came. */
  readonly seen: number;

  /** @internal */
  constructor(
    message: string,
    kinds: readonly string[],
    seen: number,
    failure?: Failure,
    advice = 'Compare the two lists; the trace holds every exit.',
  ) {
    super(message, {
      advice,
      ...(failure && { failure }),
    });
    this.kinds = kinds;
    this.seen = seen;
  }
}

/** An interrupt was sent to a vCPU, and that has neither handled it nor accepted it: on the way between them it was lost. */
export class NotReceivedError extends ExpectationError {
  override readonly code = 'ERR_NOT_RECEIVED';
  /** Who should have received it. */
  readonly vcpuId: number;
  /** 0 to 255; 2 is an NMI. */
  readonly vector: number;

  /** @internal */
  constructor(
    message: string,
    what: { vcpuId: number; vector: number },
    { kinds, seen }: { kinds: readonly string[]; seen: number },
    failure?: Failure,
  ) {
    super(message, kinds, seen, failure, whatToDoOfLoss);
    this.vcpuId = what.vcpuId;
    this.vector = what.vector;
  }
}

const whatToDoOfLoss =
  "The write left the sender, as the trace shows: see that the receiver's local APIC was on when it came; if it was, look at what " +
  'the kernel does between that write and the local APIC. `kvm-dsm test transparency once` tries just that.';

/** The guest cannot go on: triple fault, failed entry, or an instruction that KVM cannot emulate. */
export class GuestFailureError extends KvmDsmError {
  readonly code = 'ERR_GUEST_FAILURE';

  /** @internal */
  constructor(message: string, failure: Failure) {
    super(message, {
      advice: 'Look at the instruction at RIP and at the state that it needs (IDT, stack, mapped memory).',
      failure,
    });
  }
}

/** The guest had an exception, or in real mode an interrupt, that its program does not handle. */
export class GuestFaultError extends KvmDsmError {
  readonly code = 'ERR_GUEST_FAULT';
  /** The vcpu_id of the vCPU that it is about. */
  readonly vcpuId: number;
  /** 0 to 255. */
  readonly vector: number;
  /** What the CPU pushed; `undefined` if the stack cannot be read. */
  readonly fault: GuestFault | undefined;

  /** @internal */
  constructor(
    message: string,
    what: { vcpuId: number; vector: number; fault: GuestFault | undefined },
    failure: Failure,
  ) {
    super(message, {
      advice:
        'Look at the instruction there; a program may handle the vector itself: `handlers`, or wait for it: `until`.',
      failure,
    });
    this.vcpuId = what.vcpuId;
    this.vector = what.vector;
    this.fault = what.fault;
  }
}

/** The guest ran past the end of its program: nothing there ends it, or goes back. */
export class ProgramEndError extends KvmDsmError {
  readonly code = 'ERR_PROGRAM_END';
  /** The vcpu_id of the vCPU that it is about. */
  readonly vcpuId: number;

  /** @internal */
  constructor(message: string, vcpuId: number, failure: Failure) {
    super(message, {
      advice: 'End the program with hlt and a jmp back to it (`done()` does so), or with a jmp to where it goes on.',
      failure,
    });
    this.vcpuId = vcpuId;
  }
}

/** An assertion that the guest makes did not hold. */
export class GuestAssertionError extends KvmDsmError {
  readonly code = 'ERR_GUEST_ASSERTION';
  /** The vcpu_id of the vCPU that it is about. */
  readonly vcpuId: number;
  /** What was there, 0..2^32-1. */
  readonly actual: number;

  /** @internal */
  constructor(message: string, what: { vcpuId: number; actual: number }, failure: Failure) {
    super(message, {
      advice: 'Look at what the guest did before it: the trace, and the code before RIP.',
      failure,
    });
    this.vcpuId = what.vcpuId;
    this.actual = what.actual;
  }
}
