// The guests of the bench of nodes: the C relay gets the same ones, as they lie in memory.
import { asm, enableApic, idle, type Machine } from 'kvm-dsm';

const VECTOR = 0x40;
const ICR = 0x4000;
/** A difference of two times of the TSC has 32 bits, in units of so many ticks: some seconds. */
export const TICKS = 16;

/** Where the bench has its memory, behind all that is the kit's. */
export interface BenchMemory {
  /** 32 bits: how often the receiver's handler ran. */
  readonly counter: number;
  /** 32 bits: 1 when the receiver can take an interrupt. */
  readonly ready: number;
  /** 32 bits for each interrupt: how long it took. */
  readonly table: number;
}

export function memoryOf(m: Machine): BenchMemory {
  return { counter: m.shared, ready: m.shared + 4, table: m.shared + 0x1000 };
}

/**
 * vCPU 0 writes its ICR, waits until the handler of vCPU 1 has counted, and keeps how long that took by its TSC; `count` times. The handler is the bench's own: it
 * counts before all else.
 */
export function loadRoundTrips(m: Machine, count: number): void {
  const { counter, ready, table } = memoryOf(m);
  m.vcpu(1).program(
    asm.flat32`
      ${enableApic()}
      mov dword [${ready}], 1
    sleep:
      hlt
      jmp sleep
    handler:
      inc dword [${counter}]
      mov dword [0xfee000b0], 0
      iretd`,
    { handlers: { [VECTOR]: 'handler' } },
  );
  m.vcpu(0).program(asm.flat32`
      ${enableApic()}
      mov dword [0xfee00310], ${1 << 24}
      mov edi, ${table}
      mov esi, ${count}
    early:
      pause
      cmp dword [${ready}], 1
      jne early
    next:
      mov ebx, [${counter}]
      rdtsc
      shrd eax, edx, 4
      mov ebp, eax
      mov dword [0xfee00300], ${ICR | VECTOR}
    again:
      pause
      cmp [${counter}], ebx
      je again
      rdtsc
      shrd eax, edx, 4
      sub eax, ebp
      mov [edi], eax
      add edi, 4
      dec esi
      jnz next
      out ${DONE}, al
      ${idle()}`);
}

/** The port that vCPU 0 writes to when it is done. */
export const DONE = 0x10;

/** How long each took, in microseconds. */
export function timesOf(table: Uint8Array, count: number, tscKhz: number): number[] {
  const ticks = new Uint32Array(table.buffer.slice(table.byteOffset, table.byteOffset + count * 4));
  return [...ticks].map((value) => (value * TICKS * 1000) / tscKhz);
}

const FIRST = 0x30;
export const BURST = 192;

/** Each vCPU sends one interrupt after the other to the next vCPU, by another vector each: none of them can become one. */
export function loadBurst(m: Machine): void {
  for (const { id } of m.vcpus)
    m.vcpu(id).program(asm.flat32`
      ${enableApic()}
      mov dword [0xfee00310], ${(((id + 1) % m.vcpus.length) << 24) >>> 0}
      mov eax, ${ICR | FIRST}
      mov ecx, ${BURST}
    next:
      mov [0xfee00300], eax
      inc eax
      dec ecx
      jnz next
      ${idle()}`);
}

/** Each handler has run as often as it was sent to. */
export function checkBurst(m: Machine, times: number): void {
  for (const one of m.vcpus) {
    const { interrupts } = one;
    for (let vector = FIRST; vector < FIRST + BURST; vector++)
      if (interrupts.get(vector) !== times)
        throw new Error(`vCPU ${one.id} has handled vector ${vector} ${interrupts.get(vector)} times of ${times}`);
  }
}
