/** The part of a trace that a failure is about. */
import { describeEvent, type TraceEvent } from '../../trace/event.ts';

const SHOWN = 8;
const BEHIND = 2;

/**
 * The events up to `seq` and a few behind it, or the last ones.
 *
 * @param seq the event that failed
 */
export function traceWindow(events: readonly TraceEvent[], seq?: number): TraceEvent[] {
  const end = seq === undefined ? events.length : Math.min(events.length, seq + 1 + BEHIND);
  return events.slice(Math.max(0, end - SHOWN), end);
}

export function describeTrace(events: readonly TraceEvent[], seq?: number): string[] {
  if (events.length === 0) return ['trace: empty'];
  const part = traceWindow(events, seq);
  const lines = part.map(
    (event) =>
      `${event.seq === seq ? '>' : ' '} ${(event.ns / 1e6).toFixed(3).padStart(10)} ms  ${describeEvent(event)}`,
  );
  return [`trace: ${part.length} of ${events.length} events`, ...lines];
}
