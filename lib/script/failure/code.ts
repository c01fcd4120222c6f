/** The code around an instruction. */
import type { KvmSregs } from '../../abi/kvm/index.ts';
import { type DisassembledLine, disassemble } from '../../guest/asm/disassemble.ts';
import type { GuestMode } from '../../guest/code.ts';
import { PAGE_SIZE } from '../../kvm/guest-memory.ts';
import type { Vcpu } from '../../kvm/vcpu/vcpu.ts';
import type { MappedSlot } from '../../kvm/vm/memory.ts';

/** Bytes of code, in addresses that RIP has: of real mode, offsets in CS. */
export interface CodeWindow {
  readonly from: bigint;
  readonly bytes: Uint8Array;
  /** True if an instruction begins at `from`, as far as is known. */
  readonly aligned: boolean;
}

const BEFORE = 96n;
const AFTER = 96n;
/** A program is read from its begin up to here, so that the first byte is an instruction. */
const FROM_BEGIN = 4096n;
export const CR0_PG = 1n << 31n;

interface Place {
  rip: bigint;
  sregs: KvmSregs;
  program: { begin: bigint; bytes: Uint8Array } | null;
}

/** Reads the code around RIP as the guest sees it. Empty if no slot has memory there. */
export function readCode(vcpu: Vcpu, slots: readonly MappedSlot[], { rip, sregs, program }: Place): CodeWindow {
  const base = sregs.cs.l ? 0n : sregs.cs.base;
  const physical = (sregs.cr0 & CR0_PG) === 0n ? (linear: bigint) => linear : translation(vcpu);
  const inProgram =
    program !== null &&
    rip >= program.begin &&
    rip - program.begin < BigInt(program.bytes.length) &&
    program.begin + FROM_BEGIN > rip;
  const end = rip + AFTER;
  const ways: [bigint, boolean][] = [
    [inProgram ? program.begin : rip, inProgram],
    [rip > BEFORE ? rip - BEFORE : 0n, false],
    [rip, true],
  ];
  for (const [from, aligned] of inProgram ? ways : ways.slice(1)) {
    const bytes = read(slots, base + from, Number(end - from), physical);
    if (BigInt(bytes.length) > rip - from) return { from, bytes, aligned };
  }
  return { from: rip, bytes: new Uint8Array(), aligned: true };
}

function translation(vcpu: Vcpu): (linear: bigint) => bigint | null {
  return (linear) => {
    const { valid, physicalAddress } = vcpu.translate(linear);
    return valid ? physicalAddress : null;
  };
}

/** As many of the bytes as there are, page by page. */
function read(
  slots: readonly MappedSlot[],
  linear: bigint,
  length: number,
  physical: (linear: bigint) => bigint | null,
): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let at = linear, left = length; left > 0; ) {
    const part = Math.min(left, PAGE_SIZE - Number(at % BigInt(PAGE_SIZE)));
    const where = physical(at);
    const slot = where === null ? undefined : slots.find((one) => isWithin(one, where, part));
    if (where === null || !slot) break;
    parts.push(slot.memory.read(slot.offset + Number(where - slot.guestPhysAddr), part));
    at += BigInt(part);
    left -= part;
  }
  return Buffer.concat(parts);
}

function isWithin({ guestPhysAddr, size }: MappedSlot, where: bigint, length: number): boolean {
  return where >= guestPhysAddr && where + BigInt(length) <= guestPhysAddr + BigInt(size);
}

interface Coded {
  readonly mode: GuestMode;
  readonly code: CodeWindow;
}

/** The one instruction at an address; `undefined` if its bytes are not there. */
export function instructionAt({ mode, code }: Coded, address: bigint): DisassembledLine | undefined {
  if (address < code.from || address >= code.from + BigInt(code.bytes.length)) return undefined;
  const bytes = code.bytes.subarray(Number(address - code.from));
  return disassemble(bytes, { mode, origin: address, count: 1 })[0];
}

/** The instructions from before `address` on; one begins there. Where that is not to be had: from there on alone. */
export function instructionsAround(coded: Coded, address: bigint): DisassembledLine[] {
  const { mode, code } = coded;
  const hits = (lines: DisassembledLine[]) => lines.some((line) => line.address === address);
  const from = (start: bigint) => disassemble(code.bytes.subarray(Number(start - code.from)), { mode, origin: start });
  if (code.bytes.length === 0) return [];
  if (code.aligned) {
    const lines = from(code.from);
    if (hits(lines)) return lines;
  }
  // Code whose begin is not known falls into step after a few instructions.
  const first = address > code.from + 32n ? address - 32n : code.from;
  for (let start = first; start < address; start += 1n) {
    const lines = from(start);
    if (hits(lines)) return lines;
  }
  return from(address);
}
