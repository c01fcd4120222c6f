/** What a guest tells the host: `guestPorts`. They change eax; `tell` and `assertThat` ecx as well. */
import { checkChoice, checkInteger, checkText } from '../../base/check.ts';
import { guestPorts, numberOf } from '../protocol.ts';
import { type Snippet, snippet } from '../snippet.ts';
import { STEP_PORT } from '../step-port.ts';
import { idle } from './flow.ts';

/** The name of a sync point or a value in guest code; numbers below 65536 stand for themselves. */
function idOf(argument: string, name: string | number): number {
  return typeof name === 'number' ? checkInteger(argument, name, 0, 0xffff) : numberOf(checkText(argument, name));
}

/** A sync point: `until: { sync: name }` waits for it. Changes eax. */
export function sync(name: string | number): Snippet {
  return snippet`
    mov eax, ${idOf('name', name)}
    out ${guestPorts.sync}, eax`;
}

/**
 * A value for the trace.
 *
 * @param operand 32 bits: a register other than ecx, `dword [address]`, or a number. Changes eax, ecx.
 */
export function tell(name: string | number, operand: string | number): Snippet {
  return snippet`
    mov eax, ${operand}
    mov ecx, ${idOf('name', name)}
    out ${guestPorts.value}, eax`;
}

/**
 * This vCPU's part of the test is over: `until: 'done'` waits for it on every vCPU. From here on it waits for interrupts
 * and takes them, for ever.
 */
export function done(): Snippet {
  return snippet`
    out ${guestPorts.done}, eax
    ${idle()}`;
}

const conditions = {
  '==': 'je',
  '!=': 'jne',
  '<': 'jb',
  '<=': 'jbe',
  '>': 'ja',
  '>=': 'jae',
} as const satisfies Readonly<Record<Condition, string>>;
/** How `assertThat()` compares: unsigned, 32 bits. */
export type Condition = '==' | '!=' | '<' | '<=' | '>' | '>=';

/**
 * An assertion of the guest, of 32 unsigned bits: if it does not hold the run ends with a GuestAssertionError that has
 * this message and what was there.
 *
 * @param left a register or `dword [address]`
 * @param right a number or a register other than eax. Changes eax, ecx.
 */
export function assertThat(left: string, condition: Condition, right: string | number, message?: string): Snippet {
  const text = message ?? `${checkText('left', left)} ${condition} ${right}`;
  checkChoice('condition', condition, Object.keys(conditions) as Condition[]);
  return snippet`
    mov eax, ${left}
    cmp eax, ${right}
    ${conditions[condition]} %%holds
    mov ecx, eax
    mov eax, ${numberOf(checkText('message', text))}
    out ${guestPorts.assert}, eax
%%holds:`;
}

/**
 * A schedule point: here `m.explore()` may let another vCPU go on. Elsewhere it is an `out` that nobody heeds. Changes nothing.
 */
export function step(): Snippet {
  return snippet`out ${STEP_PORT}, al`;
}
