/** Who answers a machine's guests where nothing in the kernel does: ports and addresses that a script stands in for. */
import { checkInteger } from '../../base/check.ts';
import { ArgumentError } from '../../base/errors.ts';
import { integer, optional, shape, u64 } from '../../base/shape.ts';
import { hex, show } from '../../base/text.ts';
import type { Exit, ExitOf } from '../../exit/exit.ts';
import type { ReadAnswer } from '../../kvm/vcpu/answers.ts';
import type { Vcpu } from '../../kvm/vcpu/vcpu.ts';

/** The exit of an `in`, with the vCPU that made it. */
export type PortRead = ExitOf<'KVM_EXIT_IO'> & {
  /** vcpu_id. */
  readonly vcpu: number;
};
/** The exit of an MMIO read, with the vCPU that made it. */
export type MmioRead = ExitOf<'KVM_EXIT_MMIO'> & {
  /** vcpu_id. */
  readonly vcpu: number;
};
/** What is read: always the same, or asked for each time. `undefined` leaves all ones. */
export type AnswerOf<Read> = ReadAnswer | ((read: Read) => ReadAnswer | undefined);
/** Guest physical addresses. */
export interface AddressRange {
  /** The first. */
  at: number | bigint;
  /** In bytes. Default 8, which is the longest read. */
  size?: number;
}

const addressRange = shape<AddressRange>('onMmioRead() takes', {
  at: u64,
  size: optional(integer(1, Number.MAX_SAFE_INTEGER)),
});

/** The answers of one machine. */
export class Reads {
  readonly #ports = new Map<number, AnswerOf<PortRead>>();
  readonly #ranges: { first: bigint; end: bigint; answer: AnswerOf<MmioRead> }[] = [];

  port(port: number, answer: AnswerOf<PortRead>): void {
    this.#ports.set(checkInteger('port', port, 0, 0xffff), checkAnswer(answer));
  }

  mmio(range: AddressRange, answer: AnswerOf<MmioRead>): void {
    const { at, size = 8 } = addressRange.take(range, 'range');
    const first = BigInt(at);
    this.#ranges.unshift({ first, end: first + BigInt(size), answer: checkAnswer(answer) });
  }

  /** Answers the exit that lies in the vCPU's kvm_run, if it is a read that the script answers. */
  see(vcpu: Vcpu, exit: Exit): void {
    if (exit.name === 'KVM_EXIT_IO' && exit.direction === 'in') this.#give(vcpu, exit, this.#ports.get(exit.port));
    if (exit.name !== 'KVM_EXIT_MMIO' || exit.isWrite) return;
    const found = this.#ranges.find(({ first, end }) => exit.physAddr >= first && exit.physAddr < end);
    this.#give(vcpu, exit, found?.answer);
  }

  #give<E extends Exit>(vcpu: Vcpu, exit: E, answer: AnswerOf<E & { vcpu: number }> | undefined): void {
    const given: unknown = typeof answer === 'function' ? answer({ ...exit, vcpu: vcpu.vcpuId }) : answer;
    if (given === undefined) return;
    try {
      vcpu.completeRead(checkNow(given) as ReadAnswer);
    } catch (error) {
      if (!(error instanceof ArgumentError)) throw error;
      // Which of a script's answers it was.
      throw new ArgumentError(error.argument, `${hookOf(exit)}: ${error.message}`, error.advice);
    }
  }
}

function hookOf(exit: Exit): string {
  return exit.name === 'KVM_EXIT_IO'
    ? `what onPortRead answers for port ${hex(exit.port)}`
    : `what onMmioRead answers for ${hex((exit as MmioRead).physAddr)}`;
}

/** The guest waits: what comes later comes too late. */
function checkNow(given: unknown): unknown {
  if (!(given instanceof Promise)) return checkAnswerValue(given, 'or undefined for all ones');
  // What it says when it fails would be another error.
  given.catch(() => {});
  throw new ArgumentError(
    'answer',
    'answer is a promise, and is not waited for',
    'Answer at once; `vcpu.start({ onExit })` waits for a promise of its handler, which answers by vcpu.completeRead().',
  );
}

function checkAnswerValue<T>(answer: T, orWhat: string): T {
  if (typeof answer === 'number' || typeof answer === 'bigint' || answer instanceof Uint8Array) return answer;
  throw new ArgumentError('answer', `answer is ${show(answer)}`, `Give a number, a bigint, a Uint8Array, ${orWhat}.`);
}

function checkAnswer<T>(answer: T): T {
  return typeof answer === 'function' ? answer : checkAnswerValue(answer, 'or a function that returns one');
}
