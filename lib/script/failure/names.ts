/** Words that a report's parts share. */
import { mpStates } from '../../abi/kvm/index.ts';
import { hex } from '../../base/text.ts';
import type { ProgramSnapshot } from './snapshot.ts';

const mpStateNames = new Map<number, string>(
  Object.entries(mpStates).map(([name, value]) => [value, name.replace('KVM_MP_STATE_', '')]),
);

/** `HALTED` for KVM_MP_STATE_HALTED. */
export function mpStateName(mpState: number): string {
  return mpStateNames.get(mpState) ?? String(mpState);
}

/** `0x41, 0x42` or `none`. */
export function vectors(list: readonly number[]): string {
  return list.length ? list.map((vector) => hex(vector)).join(', ') : 'none';
}

/** `0x1005`, and after it the label that it is at: `0x1005 (wait+2)`. */
export function place(address: bigint, program: ProgramSnapshot | null): string {
  const label = program && labelAt(program, address);
  return label ? `${hex(address)} (${label})` : hex(address);
}

/** The label before a program's end; `undefined` if it has none. */
export function lastLabel(program: ProgramSnapshot): string | undefined {
  return labelAt(program, program.begin + BigInt(program.bytes.length - 1))?.replace(/\+\d+$/, '');
}

function labelAt({ labels, begin, bytes }: ProgramSnapshot, address: bigint): string | undefined {
  if (address < begin || address >= begin + BigInt(bytes.length)) return undefined;
  let best: [string, bigint] | undefined;
  for (const [name, at] of labels) {
    // Of a snippet: its own matter.
    if (name.startsWith('..@') || at > address || (best && at < best[1])) continue;
    best = [name, at];
  }
  if (!best) return undefined;
  return best[1] === address ? best[0] : `${best[0]}+${address - best[1]}`;
}
