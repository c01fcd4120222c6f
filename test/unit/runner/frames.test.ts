import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FrameReader, frames, packed } from '../../../lib/runner/frames.ts';

const SECRET = 'ab12';

/** What a reader makes of a stream that comes in pieces of so many bytes. */
function read(stream: string, piece: number): string[] {
  const told: string[] = [];
  const reader = new FrameReader(SECRET, {
    frame: (kind, line, code) => told.push(`${kind} ${code} ${line}`),
    text: (text) => told.push(`text ${text}`),
  });
  const bytes = Buffer.from(stream);
  for (let at = 0; at < bytes.length; at += piece) reader.write(bytes.subarray(at, at + piece));
  reader.end();
  return told;
}

const events = Array.from({ length: 500 }, (_, i) =>
  frames(
    SECRET,
    i % 7 === 0 ? 'forwarded' : 'exit',
    `#${i} vCPU 0 rip 0x1004  KVM_EXIT_IO: out 1 byte to port 0x42: ü`,
  ),
).join('');

test('frames that were packed are those that went in, in their place', () => {
  const line = packed(SECRET, events);
  assert.ok(line.length * 10 < events.length, `${line.length} of ${events.length} bytes`);
  for (const piece of [1, 7, 4096]) {
    const around = (middle: string) => `before\n${middle}${frames(SECRET, 'result', 'ok', 3)}`;
    const told = read(around(line), piece);
    assert.deepEqual(
      told.filter((one) => !one.startsWith('text')),
      read(around(events), 4096).filter((one) => !one.startsWith('text')),
    );
    assert.equal(told.at(-1), 'result 3 ok');
  }
});

test('a few frames stay as they are, and a packed one that was changed is none', () => {
  const few = frames(SECRET, 'line', 'one');
  assert.equal(packed(SECRET, few), few);
  const line = packed(SECRET, events).replace(/z0 .{40}/, 'z0 !');
  assert.deepEqual(read(`${line}${few}`, 4096), ['line 0 one']);
});
