// What a bench prints of its cases.
import { table, time } from './table.ts';
import type { Measured } from './turns.ts';

/** Which of the two times a ratio is made of. */
export type By = 'wall' | 'cpu';

const names: Record<By, string> = { wall: 'by the clock', cpu: 'CPU time' };

export function reportOf(measured: readonly Measured[], by: By, aims = true): string {
  const other = by === 'wall' ? 'cpu' : 'wall';
  const head = [names[by], 'C', 'JavaScript', 'ratio', 'middle half', 'of the least', names[other]];
  const rows = measured.map((one) => {
    const { ours, reference, ratio, spread, least } = one[by];
    const half = spread.map((value) => value.toFixed(2)).join(' to ');
    const row = [
      `${one.name} (${one.unit})`,
      time(reference),
      time(ours),
      ratio.toFixed(2),
      half,
      least.toFixed(2),
      one[other].ratio.toFixed(2),
    ];
    return aims ? [...row, one.aim === undefined ? '' : `<= ${one.aim}`] : row;
  });
  return table([aims ? [...head, 'aim'] : head, ...rows]);
}
