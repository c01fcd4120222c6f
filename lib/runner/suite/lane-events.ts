/** What the suite tells out of a machine of the lab: lines on its output that begin with a secret of the run. */
import { readObject, readOutcomeEvent } from '../../suite/run/events.ts';
import type { Facts } from '../../suite/run/facts.ts';
import type { RunEnd } from '../../suite/run/supervisor.ts';
import type { LaneEvent } from './protocol.ts';

const ends: readonly string[] = ['done', 'stopped', 'timeout', 'broken'] satisfies RunEnd[];

export function writeLaneEvent(secret: string, event: LaneEvent): string {
  return `${secret} ${JSON.stringify(event)}\n`;
}

/** The event in a line; a sentence if it is told as one and is none; `null` if it is somebody else's line. */
export function readLaneEvent(secret: string, line: string): LaneEvent | string | null {
  if (!line.startsWith(`${secret} `)) return null;
  const text = line.slice(secret.length + 1);
  const event = readObject(text);
  switch (event?.type) {
    case 'facts':
      if (readObject(JSON.stringify(event.facts))) return { type: 'facts', facts: event.facts as Facts };
      break;
    case 'outcome': {
      const outcome = readOutcomeEvent(event);
      if (outcome) return outcome;
      break;
    }
    case 'note':
      if (typeof event.text === 'string') return { type: 'note', text: event.text };
      break;
    case 'end':
      if (ends.includes(event.end as string)) return { type: 'end', end: event.end as RunEnd };
      break;
  }
  return `this is no event: ${text.slice(0, 200)}`;
}
