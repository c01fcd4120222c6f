/** What a scene writes, and what each write sends. */
import { icr, icr2, type LapicWrite } from '../../kit/guests.ts';
import type { Sent } from './judge.ts';
import type { Scene } from './scene.ts';
import type { Send } from './send.ts';

/** What a scene writes, of which the first `prelude` writes come before its own; and what each of them sends. */
export interface Plan {
  prelude: number;
  writes: readonly LapicWrite[];
  sends: readonly (Sent | null)[];
}

export function planOf(scene: Scene): Plan {
  const { sent, vector } = scene;
  const pair = ({ destination, icr: bits }: Send, number: number, noise: number): [LapicWrite, LapicWrite] => [
    icr2(((destination << 24) | noise) >>> 0),
    icr((bits | number) >>> 0),
  ];
  const status = ({ icr, ...send }: Send): Send => ({ ...send, icr: icr | scene.status });
  const own = scene.sequence(...pair(status(sent), vector, scene.noise));
  // Each register is written once by what has to find a certain value there.
  const kind = scene.form.onZero || scene.form.onOnes ? 'none' : scene.prelude;
  const sends = (writes: readonly LapicWrite[], send: Send) =>
    writes.map(({ register, value }) => (register === 'ICR' ? { send, vector: value & 0xff } : null));
  const first = (toHeld: boolean): Pick<Plan, 'writes' | 'sends'> => {
    const { send, vector: number } = scene.drawPrelude(toHeld);
    const once = pair(send, number, scene.noise ^ 0xff).slice(toHeld ? 1 : 0);
    const writes = kind === 'again' ? once.flatMap((write) => [write, write]) : once;
    return { writes, sends: sends(writes, send) };
  };
  const parts = { none: [], icr: [true], both: [false], again: [false], all: [true, false] }[kind].map(first);
  const before = parts.flatMap(({ writes }) => writes);
  return {
    prelude: before.length,
    writes: [...before, ...own],
    sends: [...parts.flatMap((part) => part.sends), ...sends(own, sent)],
  };
}
