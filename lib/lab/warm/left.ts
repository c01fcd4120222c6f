/** What a command leaves behind in a machine, and whether the next one may have that machine. */
import { printable } from '../../base/text.ts';

export interface Left {
  /** The kernel's flags of what makes it no longer trusted. */
  tainted: number;
  availableKib: number;
  /** A number over all parameters of KVM's modules. */
  settings: string;
  /** The names of processes that nobody has ended. */
  processes: string[];
}

/** Of `MemAvailable`, which what the kernel keeps for itself takes from as well. */
const MOST_LOST_KIB = 64 << 10;

/** Reads what stands behind init's word `idle`. */
export function readLeft(text: string): Left {
  const [tainted, available, settings = '', ...processes] = text.split(' ');
  return { tainted: Number(tainted), availableKib: Number(available), settings, processes };
}

/** Why the machine has to be booted again; `null`: it is as it was. */
export function faultOf(fresh: Left, left: Left): string | null {
  if (left.tainted !== fresh.tainted) return `its kernel is tainted (${left.tainted})`;
  if (left.processes.length > 0) return `a command left processes behind: ${printable(left.processes.join(', '))}`;
  if (left.settings !== fresh.settings) return "a command changed parameters of KVM's modules";
  const lost = fresh.availableKib - left.availableKib;
  return lost > MOST_LOST_KIB ? `${Math.round(lost / 1024)} MiB of its memory are gone` : null;
}
