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

/**
 * Holds this thread up, and with it the event loop, until a vCPU's thread that was let into the guest waits again or has
 * ended. Fails after 20 seconds.
 */
export function waitUntilParked(tid: number): void {
  const end = performance.now() + 20_000;
  const runs = () => {
    try {
      // The state follows the name in parentheses.
      return !/\) S/.test(readFileSync(`/proc/self/task/${tid}/stat`, 'ascii'));
    } catch {
      return false;
    }
  };
  while (runs()) if (performance.now() > end) throw new Error(`the thread ${tid} still runs`);
}
