/** The code at many addresses, for a trace: each byte about once. */
import type { GuestMode } from '../../guest/code.ts';
import type { MappedSlot } from '../../kvm/vm/memory.ts';
import type { MachineVcpu } from '../machine/vcpu.ts';
import type { CodeWindow } from './code.ts';
import { codeOf } from './snapshot.ts';

/** A piece of a vCPU's code, as it is when a run is over. */
export interface CodePiece extends CodeWindow {
  readonly vcpu: number;
  readonly mode: GuestMode;
}

/** So many bytes of a vCPU at most. */
const MOST = 65_536;
/** Of what lies behind an address: the longest instruction. */
const INSTRUCTION = 15n;

/** Nothing of a vCPU that cannot be asked, and of an address without memory. */
export function codePieces(one: MachineVcpu, slots: readonly MappedSlot[], rips: Iterable<bigint>): CodePiece[] {
  const pieces: CodePiece[] = [];
  let size = 0;
  // From the last one: a program is read from its begin up to an address.
  for (const rip of [...rips].sort((a, b) => (a < b ? 1 : -1))) {
    if (pieces.some((piece) => has(piece, rip))) continue;
    const code = codeOf(one, slots, rip);
    if (!code || code.window.bytes.length === 0) continue;
    const { from, bytes, aligned } = code.window;
    const kept = bytes.subarray(0, Number(rip + INSTRUCTION - from));
    size += kept.length;
    if (size > MOST) break;
    pieces.push({ vcpu: one.id, mode: code.mode, from, bytes: kept, aligned });
  }
  return pieces;
}

/** With what is before it, as far as that is known to begin with an instruction. */
function has({ from, bytes, aligned }: CodePiece, rip: bigint): boolean {
  return rip >= from + (aligned ? 0n : 32n) && rip < from + BigInt(bytes.length);
}
