/** What a kernel of the lab's recorded while a guest sent one IPI: its pages and formats as they came, and its own text of them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type EventFormat, parseFormat, readFields } from '../../lib/host/ftrace/format.ts';
import { parsePageLayout, recordsIn } from '../../lib/host/ftrace/page.ts';
import type { FtraceEvent } from '../../lib/host/ftrace/recording.ts';
import { root } from './command.ts';

interface Recorded {
  /** events/header_page. */
  readonly header: string;
  /** By `system/event`. */
  readonly formats: Readonly<Record<string, string>>;
  /** By CPU, in base64, without the zeros at their end. */
  readonly pages: Readonly<Record<string, readonly string[]>>;
  /** The lines of `trace`. */
  readonly text: readonly string[];
}

export const recorded = JSON.parse(readFileSync(join(root, 'test/unit/host/ftrace/recorded.json'), 'utf8')) as Recorded;

/** All of it, in the order of time. */
export function recordedEvents(): FtraceEvent[] {
  const formats = new Map<number, EventFormat>();
  for (const text of Object.values(recorded.formats)) {
    const format = parseFormat(text)!;
    formats.set(format.id, format);
  }
  const layout = parsePageLayout(recorded.header)!;
  const events = Object.entries(recorded.pages).flatMap(([name, pages]) =>
    pages.flatMap((page) => {
      const bytes = Buffer.from(page, 'base64');
      return [...recordsIn(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), layout)].map(
        ({ at, record }): FtraceEvent => {
          const format = formats.get(record.getUint16(0, true))!;
          const cpu = Number(name.slice('cpu'.length));
          return { at, cpu, tid: record.getInt32(4, true), event: format.name, fields: readFields(format, record) };
        },
      );
    }),
  );
  return events.sort((a, b) => Number(a.at - b.at));
}
