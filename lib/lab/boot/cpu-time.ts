/** The CPU time of a process. */
import { readFileSync } from 'node:fs';

/** USER_HZ: what /proc counts CPU time in, on every x86 Linux. */
const ticksPerSecond = 100;

/** The CPU seconds that a process has used so far; undefined when it is gone. */
export function cpuSeconds(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The second field, the name, may hold anything but ends at the last parenthesis.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
  } catch {
    return undefined;
  }
}
