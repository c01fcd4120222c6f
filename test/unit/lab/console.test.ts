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

  test('panics and oopses are found, warnings are neither', () => {
    assert.deepEqual(readLine('[    2.0] Kernel panic - not syncing: Fatal exception\r'), {
      type: 'panic',
      text: 'Fatal exception',
    });
    for (const text of [
      'BUG: kernel NULL pointer dereference, address: 0000000000000008',
      'BUG: unable to handle page fault for address: ffffc90000000000',
      'Oops: Oops: 0002 [#1] SMP NOPTI',
      'kernel BUG at arch/x86/kvm/x86.c:123!',
      'general protection fault, probably for non-canonical address 0xdead: 0000 [#1] SMP',
      'watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [node:80]',
    ]) {
      assert.deepEqual(readLine(`[    2.0] ${text}`), { type: 'oops', text });
    }
    assert.equal(readLine('[    2.0] WARNING: CPU: 0 PID: 1 at kernel/x.c:1 f+0x0/0x10'), undefined);
    assert.equal(readLine('[    2.0] [Firmware Bug]: TSC_DEADLINE disabled'), undefined);
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
