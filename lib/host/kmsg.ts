/** The kernel's log as /dev/kmsg gives it. Source: Documentation/ABI/testing/dev-kmsg. */
import { readSync } from 'node:fs';

/** CONSOLE_EXT_LOG_MAX: the longest record that the kernel gives. */
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

/**
 * A record is `priority,sequence,microseconds,flags;text`, and lines of properties that begin with a space. What is not
 * printable in the text, an end of line too, stands there as `\x0a`.
 */
export function recordText(record: string): string {
  const line = record.split('\n', 1)[0]!;
  const text = line.slice(line.indexOf(';') + 1);
  if (!text.includes('\\x')) return text;
  const bytes = text.replace(/\\x([0-9a-f]{2})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  );
  return Buffer.from(bytes, 'latin1').toString('utf8');
}

/** When it was written, in microseconds of the kernel's own clock; NaN if the record does not say. */
export function recordMicroseconds(record: string): number {
  return Number(record.split(',', 3)[2]);
}

/** Its number: each record has the number after that of the one before; NaN if the record does not say. */
export function recordSequence(record: string): number {
  return Number(record.split(',', 2)[1]);
}

/** True if the kernel itself wrote it: what comes from user space has another facility, whatever it asked for. */
export function isKernelRecord(record: string): boolean {
  return Number(record.split(',', 1)[0]) >> 3 === 0;
}
