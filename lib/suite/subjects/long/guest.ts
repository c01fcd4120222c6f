/** A guest that writes thousands of times, each time another value, and what comes out of it. */
import { lapicRegisters } from '../../../abi/apic/lapic.ts';
import type { Exit } from '../../../exit/exit.ts';
import { flat32, type Instruction, in8, mov32 } from '../../../guest/bytes.ts';
import { at, DONE_PORT } from '../../kit/guests.ts';

/** No APIC id of a VM here. */
const NOBODY = 0x77;
/** Logical, and no vCPU has a logical id: nothing is delivered. */
const FIRST_ICR = 0x0000_4841;
/** What a guest leaves by in between. */
export const OTHER_PORT = 0x12;

const le32 = (value: number) => [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];

/** Writes ICR2 and ICR so many times, ICR2 with a number in its reserved bits; `between`: code after each pair. */
export function pairs(count: number, between: readonly Instruction[] = []): ReturnType<typeof flat32> {
  const body = [
    ...[0xa3, ...le32(at('ICR2'))], // mov [ICR2], eax
    ...[0x89, 0x1d, ...le32(at('ICR'))], // mov [ICR], ebx
    ...between.flatMap((instruction) => [...instruction]),
    0x40, // inc eax
    ...[0x81, 0xc3, ...le32(1 << 20)], // add ebx, 0x100000
    0x49, // dec ecx
  ];
  const length = body.length + 2;
  return flat32(
    mov32('eax', (NOBODY << 24) >>> 0),
    mov32('ebx', FIRST_ICR),
    mov32('ecx', count),
    Uint8Array.from([...body, 0x75, 0x100 - length]), // jnz
    // A read is never recorded: it waits for its answer.
    in8(DONE_PORT),
  );
}

/** Of the n-th write of such a guest. */
function nthWrite(n: number): { val: number; val2: number } {
  const pair = n >> 1;
  if (n % 2 === 0) return { val: lapicRegisters.ICR2, val2: ((NOBODY << 24) | pair) >>> 0 };
  return { val: lapicRegisters.ICR, val2: (FIRST_ICR + (pair % 4096) * 0x10_0000) >>> 0 };
}

/** How far behind the expected write one is looked for that came out early: those between are lost. */
const AHEAD = 64;
const MOST_TOLD = 8;

/** Compares what comes out with what the guest writes, as it comes. */
export class Ledger {
  readonly #vcpuId: number;
  readonly #count: number;
  readonly #wrong: string[] = [];
  #next = 0;
  #exits = 0;
  #others = 0;

  /** @param count of writes */
  constructor(vcpuId: number, count: number) {
    this.#vcpuId = vcpuId;
    this.#count = count;
  }

  /** Exits of other kinds. */
  get others(): number {
    return this.#others;
  }

  see(exit: Exit): void {
    if (exit.name !== 'KVM_EXIT_DSM_SEND_IRQ') {
      this.#others += 1;
      return;
    }
    this.#exits += 1;
    const { id, val, val2, destId } = exit;
    const is = (n: number) => {
      const wanted = nthWrite(n);
      return n >= 0 && n < this.#count && wanted.val === val && wanted.val2 === val2;
    };
    if (!is(this.#next)) {
      const ahead = Array.from({ length: AHEAD }, (_, n) => n + 1).find((far) => is(this.#next + far));
      if (ahead !== undefined) this.#lose(this.#next + ahead);
      else {
        if (is(this.#next - 1)) this.#tell(this.#next - 1, 'came out again');
        else this.#tell(this.#next, `came out as val 0x${val.toString(16)}, val2 0x${val2.toString(16)}`);
        return;
      }
    }
    if (id !== this.#vcpuId) this.#tell(this.#next, `came out with id ${id}, expected ${this.#vcpuId}`);
    // A profile may have none.
    if (destId !== null && destId !== NOBODY) this.#tell(this.#next, `came out with dest_id 0x${destId.toString(16)}`);
    this.#next += 1;
  }

  /** What was wrong, when the guest has ended. */
  wrong(): string[] {
    if (this.#next < this.#count) this.#lose(this.#count);
    const left = this.#wrong.length - MOST_TOLD;
    return [...this.#wrong.slice(0, MOST_TOLD), ...(left > 0 ? [`and ${left} more`] : [])];
  }

  #lose(until: number): void {
    const last = until - 1;
    this.#tell(this.#next, last > this.#next ? `and those up to ${last + 1} did not come out` : 'did not come out');
    this.#next = until;
  }

  #tell(n: number, what: string): void {
    const { val, val2 } = nthWrite(n);
    const register = val === lapicRegisters.ICR ? 'ICR' : 'ICR2';
    this.#wrong.push(
      `vCPU ${this.#vcpuId}: write ${n + 1} of ${this.#count}, ${register} = 0x${val2.toString(16)}, ${what} (after ${this.#exits} exits)`,
    );
  }
}
