/** What the lab reads from the console of its machines, and says while it works. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ConsoleReader, readLine } from '../../../lib/lab/boot/console.ts';
import { elapsed } from '../../../lib/lab/progress.ts';

describe('the console', () => {
  test('marks are found behind a time stamp and before a carriage return', () => {
    assert.deepEqual(readLine('[    1.234567] @kvm-dsm exit 7\r'), { type: 'mark', word: 'exit', rest: '7' });
    assert.deepEqual(readLine('@kvm-dsm no-medium sda sr0'), { type: 'mark', word: 'no-medium', rest: 'sda sr0' });
    assert.equal(readLine('[    1.2] @kvm-dsmexit 7'), undefined);
  });

  test('panics and reports are found behind the time, and in no other place', () => {
    assert.deepEqual(readLine('[    2.0] Kernel panic - not syncing: Fatal exception\r'), {
      type: 'panic',
      text: 'Fatal exception',
    });
    for (const [id, line] of [
      ['page-fault', 'BUG: kernel NULL pointer dereference, address: 0000000000000008'],
      ['warning', 'WARNING: CPU: 0 PID: 1 at kernel/x.c:1 f+0x0/0x10'],
      ['ubsan', 'UBSAN: shift-out-of-bounds in lib/x.c:1:2'],
    ] as const) {
      const event = readLine(`[    2.000000] ${line}\r`);
      assert.ok(event?.type === 'report');
      assert.equal(event.report.kind.id, id);
      assert.equal(event.report.line, line);
    }
    assert.equal(readLine('[    2.000000] [Firmware Bug]: TSC_DEADLINE disabled'), undefined);
    assert.equal(readLine('[    2.000000] a driver says WARNING: CPU: 0'), undefined);
  });

  test('a line of 64 MiB without an end costs time by its length, and no more memory than a line may have', () => {
    const reader = new ConsoleReader();
    const chunk = Buffer.alloc(4096, 'x');
    const before = process.memoryUsage().heapUsed;
    for (let sent = 0; sent < 64 << 20; sent += chunk.length) assert.deepEqual(reader.feed(chunk), []);
    assert.ok(process.memoryUsage().heapUsed - before < 32 << 20);
    assert.deepEqual(reader.feed(Buffer.from('end\n[ 1.000000] @kvm-dsm boot x\n')), [
      { type: 'mark', word: 'boot', rest: 'x' },
    ]);
    const [line = ''] = reader.tail();
    assert.match(line, /^x{65536} \(a line cut here\)$/);
  });

  test('what is no UTF-8, and what a terminal would obey, is shown and not passed on', () => {
    const reader = new ConsoleReader();
    const bytes = [0xff, 0x61, 0xc3, 0x0a, 0xe2, 0x82, 0xac, 0xc2, 0x9b, 0x33, 0x31, 0x6d, 0x0a];
    for (const byte of bytes) reader.feed(Buffer.of(byte));
    reader.feed(Buffer.from('\x1b]0;title\x07 \x1b[2Jgone\x00\n'));
    assert.deepEqual(reader.tail(), ['\ufffda\ufffd', '€\\x9b31m', '0;title\\x07 gone']);
  });

  test('lines may come in any pieces; marks stay out of the log, a torn character does not', () => {
    const reader = new ConsoleReader();
    const bytes = Buffer.from('\x1bc\x1b[?7lSeaBIOS\r\n[ 0.1] für\r\n[ 0.2] @kvm-dsm boot 6.12\r\nlast');
    const events = [...bytes].flatMap((byte) => reader.feed(Buffer.of(byte)));
    assert.deepEqual(events, [{ type: 'mark', word: 'boot', rest: '6.12' }]);
    assert.deepEqual(reader.tail(), ['SeaBIOS', '[ 0.1] für', 'last']);
    assert.deepEqual(reader.tail(2), ['[ 0.1] für', 'last']);
  });

  test('a crash stays in the log, however much follows it', () => {
    const reader = new ConsoleReader();
    for (let line = 0; line < 1000; line++) reader.feed(Buffer.from(`before ${line}\n`));
    reader.feed(Buffer.from('Oops: 0000 [#1]\n'));
    for (let line = 0; line < 1000; line++) reader.feed(Buffer.from(`after ${line}\n`));
    const tail = reader.tail();
    assert.ok(tail.includes('before 999') && tail.includes('Oops: 0000 [#1]') && tail.includes('after 0'));
    assert.ok(tail.length < 60);
  });
});

test('elapsed counts minutes and seconds', () => {
  assert.deepEqual([0, 999, 59_600, 83_000, 3_600_000].map(elapsed), ['0m00s', '0m01s', '1m00s', '1m23s', '60m00s']);
});
