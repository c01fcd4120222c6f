/** What the guest tells, read back. */
import { ExploreTextError } from './errors.ts';

/** What was seen after an operation. */
export interface Sighting {
  /** An INIT has reset the machine: the history ends there. */
  reset: boolean;
  /** Vectors whose handlers ran, in their order. */
  handled: number[];
  /** What was read. */
  result: { low: number; high: number } | null;
  /** By number: the offset in the APIC page divided by 16. */
  registers: readonly number[];
}

/** By history, and in it by operation; the first is before them, behind the INIT. `null`: such a machine has no such mode. */
export type Told = (readonly Sighting[] | null)[];

/** Reads the guest's text. Throws ExploreTextError if it does not come to its end. @param who in words */
export function readTold(text: string, who: string): Told {
  const told: Told = [];
  let history: Sighting[] = [];
  let registers = new Array<number>(64).fill(0);
  const lines = text.replaceAll('\r', '').trimEnd().split('\n');
  const last = lines.pop();
  if (last !== 'end') {
    const lost = 'its guest lost itself: the INIT that it sends to itself did not come, or there was a fault';
    const what = last?.endsWith('lost') ? lost : 'its guest did not come to its end';
    throw new ExploreTextError(who, what, lines.slice(-5));
  }
  for (const line of lines) {
    const head = /^H([\da-f]{8})(-?)/.exec(line);
    if (head) {
      if (Number.parseInt(head[1]!, 16) !== told.length)
        throw new ExploreTextError(who, `history ${told.length} is missing`, [line]);
      history = [];
      registers = new Array<number>(64).fill(0);
      told.push(head[2] === '-' ? null : history);
      if (head[2] === '-') continue;
    }
    const sighting: Sighting = { reset: line === 'X', handled: [], result: null, registers: [] };
    const rest = line
      .slice(head?.[0].length ?? 0)
      .replaceAll(
        /h([\da-f]{2})|=([\da-f]{8})(?::([\da-f]{8}))?|r([\da-f]{2})([\da-f]{8})/g,
        (_, vector?: string, low?: string, high?: string, register?: string, value?: string) => {
          if (vector !== undefined) sighting.handled.push(Number.parseInt(vector, 16));
          else if (low !== undefined)
            sighting.result = {
              low: Number.parseInt(low, 16),
              high: high === undefined ? 0 : Number.parseInt(high, 16),
            };
          else registers[Number.parseInt(register!, 16)] = Number.parseInt(value!, 16);
          return '';
        },
      );
    if ((rest !== '' && !sighting.reset) || told.length === 0)
      throw new ExploreTextError(who, 'its guest wrote what it never writes', [line]);
    sighting.registers = registers.slice();
    history.push(sighting);
  }
  return told;
}
