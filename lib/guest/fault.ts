/** What a fault handler left on its stack. */

import { vectorName } from '../abi/exceptions.ts';
import { hex } from '../base/text.ts';
import type { GuestMemory } from '../kvm/guest-memory.ts';
import type { Vcpu } from '../kvm/vcpu/vcpu.ts';
import { vectorsWithErrorCode } from './handlers.ts';

/** A vector that the program did not handle: an exception, or an interrupt in real mode. */
export interface GuestFault {
  /** 0 to 255. */
  vector: number;
  /** `#GP`, or `vector 0x41`. */
  name: string;
  /** What the CPU pushed for those vectors that have one. */
  errorCode: number | undefined;
  /** Where it happened: of a fault the instruction itself, of a trap the next one. A guest linear address. */
  rip: bigint;
  /** The code segment's selector where it happened; its bits 1:0 are the privilege level. */
  cs: number;
  /** RFLAGS as the CPU pushed them. */
  rflags: bigint;
  /** The stack pointer before it. */
  rsp: bigint;
  /** The accumulator as it was: the handler needed the register. */
  rax: bigint;
  /** For #PF: CR2, the address that was touched. */
  address: bigint | undefined;
}

const WIDTH = { real16: 2, flat32: 4, long64: 8 } as const;

/** Reads the frame of a vCPU that has just said `fault`. `undefined` if its stack is not in this memory. */
export function readFault(vcpu: Vcpu, memory: GuestMemory, vector: number): GuestFault | undefined {
  const { rsp, rax } = vcpu.getRegs();
  const { cs, ss, cr0, cr2 } = vcpu.getSregs();
  const mode = (cr0 & 1n) === 0n ? 'real16' : cs.l ? 'long64' : 'flat32';
  const width = WIDTH[mode];
  const base = mode === 'real16' ? ss.base + (rsp & 0xffffn) : rsp;
  const slots = mode === 'real16' ? 4 : 7;
  if (base + BigInt(slots * width) > BigInt(memory.size)) return undefined;
  const frame = new DataView(memory.read(Number(base), slots * width).buffer);
  const slot = (index: number) =>
    width === 8
      ? frame.getBigUint64(index * 8, true)
      : BigInt(width === 4 ? frame.getUint32(index * 4, true) : frame.getUint16(index * 2, true));
  // Behind the accumulator: an error code, or what stands for one, which real mode lacks.
  const first = mode === 'real16' ? 1 : 2;
  const pushed = vectorsWithErrorCode.has(vector) && mode !== 'real16';
  const codeSelector = Number(slot(first + 1) & 0xffffn);
  const offset = slot(first);
  return {
    vector,
    name: vectorName(vector),
    errorCode: pushed ? Number(slot(1) & 0xffff_ffffn) : undefined,
    rip: mode === 'real16' ? BigInt(codeSelector << 4) + offset : offset,
    cs: codeSelector,
    rflags: slot(first + 2),
    rsp: mode === 'long64' ? slot(5) : rsp + BigInt(width * (first + 3)),
    rax: mode === 'real16' ? (rax & ~0xffffn) | slot(0) : slot(0),
    address: vector === 14 ? cr2 : undefined,
  };
}

/** `#GP(0x10) at 0x1003`. */
export function describeFault({ name, errorCode, rip, address }: GuestFault): string {
  const code = errorCode === undefined ? '' : `(${hex(errorCode)})`;
  const touched = address === undefined ? '' : ` for address ${hex(address)}`;
  return `${name}${code} at ${hex(rip)}${touched}`;
}
