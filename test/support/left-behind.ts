/** What vCPUs may leave behind in this process. */
import { readdirSync, readFileSync } from 'node:fs';

export function threads(): number[] {
  return readdirSync('/proc/self/task').map(Number);
}

/** The ids of this process' threads of that name. */
export function threadsNamed(name: string): number[] {
  return threads().filter((tid) => {
    try {
      return readFileSync(`/proc/self/task/${tid}/comm`, 'ascii') === `${name}\n`;
    } catch {
      return false; // It has ended meanwhile.
    }
  });
}

/** How many mappings of vCPUs this process has. */
export function vcpuMappings(): number {
  return readFileSync('/proc/self/maps', 'ascii').split('anon_inode:kvm-vcpu').length - 1;
}
