/** Loops and waits. */
import { checkInteger, checkText } from '../../base/check.ts';
import { type Snippet, snippet } from '../snippet.ts';

/**
 * Runs a body a number of times. Changes esi, which counts down to 1; the body must leave it alone.
 *
 * @param count 1 to 2^32-1
 */
export function repeat(count: number, body: Snippet | string | readonly (Snippet | string)[]): Snippet {
  checkInteger('count', count, 1, 0xffff_ffff);
  return snippet`
    mov esi, ${count}
%%again:
    ${body}
    dec esi
    jnz %%again`;
}

/** Waits for interrupts for ever: each wakes it, and it goes to sleep again. */
export function idle(): Snippet {
  return snippet`
%%idle:
    hlt
    jmp %%idle`;
}

/**
 * Spins until 32 bits in memory have a value.
 *
 * @param address a guest physical address, such as `machine.shared` or `vcpu.counterAddress(0x40)`, or a label
 */
export function waitUntil(address: number | string, wanted: number | string): Snippet {
  return snippet`
%%wait:
    pause
    cmp dword [${at(address)}], ${wanted}
    jne %%wait`;
}

/** Adds one to 32 bits in memory, in one step for all vCPUs. */
export function increment(address: number | string): Snippet {
  return snippet`lock inc dword [${at(address)}]`;
}

/** Spins `count` times. Changes ecx. */
export function delay(count: number): Snippet {
  checkInteger('count', count, 1, 0xffff_ffff);
  return snippet`
    mov ecx, ${count}
%%spin:
    pause
    dec ecx
    jnz %%spin`;
}

function at(address: number | string): number | string {
  return typeof address === 'number' ? checkInteger('address', address, 0, 0xffff_ffff) : checkText('address', address);
}
