/** The kernel's log as /dev/kmsg gives it. Source: Documentation/ABI/testing/dev-kmsg. */
import { readSync } from 'node:fs';

const RECORD = 8192;

/** Every record between the descriptor's position and the end of the log. The file is open with O_NONBLOCK. */
export function readRecords(fd: number): string[] {
  const buffer = Buffer.alloc(RECORD);
  const records: string[] = [];
  for (;;) {
    try {
      const length = readSync(fd, buffer, 0, RECORD, null);
      if (length === 0) return records;
      records.push(buffer.toString('utf8', 0, length));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EAGAIN') return records;
      // Records were overwritten before they were read: the next read finds the oldest one left.
      if (code !== 'EPIPE') throw error;
    }
  }
}

/** A record is `priority,sequence,microseconds,flags;text`, and lines of properties that begin with a space. */
export function recordText(record: string): string {
  const line = record.split('\n', 1)[0]!;
  return line.slice(line.indexOf(';') + 1);
}

/** When it was written, in microseconds of the kernel's own clock; NaN if the record does not say. */
export function recordMicroseconds(record: string): number {
  return Number(record.split(',', 3)[2]);
}
