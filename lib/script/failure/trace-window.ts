/** The part of a trace that a failure is about. */
import type { TraceEvent } from '../../trace/event.ts';
import { describeEvent } from '../../trace/text.ts';

const SHOWN = 8;
const AFTER = 2;

/**
 * The events up to `seq` and a few after it, or the last ones.
 *
 * @param seq the event that failed
 */
export function traceWindow(events: readonly TraceEvent[], seq?: number): TraceEvent[] {
  const isUpTo = (event: TraceEvent) => seq === undefined || event.seq <= seq + AFTER;
  const end = events.findLastIndex(isUpTo) + 1;
  return events.slice(Math.max(0, end - SHOWN), end);
}

export function describeTrace(events: readonly TraceEvent[], seq?: number, omitted = 0): string[] {
  if (events.length === 0) return ['trace: empty'];
  const part = traceWindow(events, seq);
  const lines = part.map(
    (event) =>
      `${event.seq === seq ? '>' : ' '} ${(event.ns / 1e6).toFixed(3).padStart(10)} ms  ${describeEvent(event)}`,
  );
  const without = omitted === 0 ? '' : `; ${omitted} of them were not looked at`;
  return [`trace: ${part.length} of ${events.length + omitted} events${without}`, ...lines];
}
