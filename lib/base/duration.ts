/** Lengths of time as callers write them. */
import { ArgumentError } from './errors.ts';
import { show } from './text.ts';

/** A length of time: a number of milliseconds, or text such as `'250ms'`, `'2s'`, `'1.5m'`. */
export type Duration = number | `${number}ms` | `${number}s` | `${number}m`;

/** How long a guest may run if nobody says otherwise. */
export const DEFAULT_DEADLINE = '10s';

const units: Record<string, number> = { ms: 1, s: 1000, m: 60_000 };

/** What was read last: a loop gives the same text each time. */
let lastText = '';
let lastMs = Number.NaN;

/** Milliseconds of a duration, more than 0 and at most a day. Throws `ArgumentError` for anything else. */
export function milliseconds(duration: Duration, argument = 'deadline'): number {
  let value = Number.NaN;
  if (typeof duration === 'number') value = duration;
  else if (duration === lastText) value = lastMs;
  else if (typeof duration === 'string') {
    const match = /^(\d+(?:\.\d+)?)(ms|s|m)$/.exec(duration);
    if (match) value = Number(match[1]) * units[match[2]!]!;
  }
  if (value > 0 && value <= 86_400_000) {
    if (typeof duration === 'string') {
      lastText = duration;
      lastMs = value;
    }
    return value;
  }
  throw new ArgumentError(
    argument,
    `${argument} ${show(duration)} is not a duration: a number of milliseconds, or text such as "500ms", "2s", "1.5m"`,
    'Give more than 0 and at most a day, without a space: "500ms", "2s", "1.5m", or milliseconds as a number.',
  );
}
