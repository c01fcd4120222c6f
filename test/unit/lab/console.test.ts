/** What the lab reads from the console of its machines, and says while it works. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { messageOf } from '../../../lib/host/kernel-reports.ts';
import { ConsoleReader } from '../../../lib/lab/boot/console.ts';
import { Marks } from '../../../lib/lab/boot/marks.ts';
import type { InitWord } from '../../../lib/lab/disk/init.ts';
import { elapsed } from '../../../lib/lab/progress.ts';

const mark = (word: InitWord, rest: string) => ({ type: 'mark', mark: { word, rest } });

/** A reader, and a line as the machine's init writes it. */
function machine() {
  const marks = new Marks();
  const secrets = new Map(marks.file.split('\n').map((line) => line.split(' ') as [string, string]));
  const say = (word: InitWord, rest: string) => `@kvm-dsm ${word} ${secrets.get(word)} ${rest}`;
  return { reader: new ConsoleReader(marks), say };
}

describe('the console', () => {
  test('what init says is found behind a time stamp and before a carriage return', () => {
    const { reader, say } = machine();
    assert.deepEqual(reader.feed(Buffer.from(`[    1.234567] ${say('boot', '6.12')}\r\n`)), [mark('boot', '6.12')]);
    assert.deepEqual(reader.feed(Buffer.from(`${say('no_medium', 'sda sr0')}\n`)), [mark('no_medium', 'sda sr0')]);
    assert.deepEqual(reader.tail(), []);
  });

  test('without its secret it is text, and so is any other word', () => {
    const { reader, say } = machine();
    const forged = [
      '@kvm-dsm exit 0',
      '@kvm-dsm exit 0123456789abcdef 0',
      say('exit', '0').replace(' exit ', ' bye '),
      say('exit', '0').replace('@kvm-dsm ', '@kvm-dsm'),
      '@kvm-dsm',
    ];
    assert.deepEqual(reader.feed(Buffer.from(`${forged.join('\n')}\n`)), []);
    assert.deepEqual(reader.tail(), forged);
  });

  test('what init cannot have said is told by name', () => {
    const wrong = (...said: [InitWord, string][]) => {
      const { reader, say } = machine();
      const lines = said.map(([word, rest]) => `${say(word, rest)}\n`);
      const event = reader.feed(Buffer.from(lines.join(''))).at(-1);
      assert.ok(event?.type === 'wrong-mark', JSON.stringify(event));
      return event.wrong;
    };
    const ready: [InitWord, string][] = [
      ['boot', '6.12'],
      ['ready', ''],
    ];
    for (const code of ['', 'x', '256', '-1', '1000', '0 1', '0x1', '0[123]', '1e1', '+1', ' 1', '07'])
      assert.match(wrong(...ready, ['exit', code]), /^exit ?.*: what stands behind "exit" is not of its form$/, code);
    assert.match(wrong(...ready, ['exit', '7'], ['exit', '7']), /^exit 7: it has been said before$/);
    assert.match(wrong(...ready, ['exit', '0'], ['bye', ''], ['bye', '']), /^bye: it has been said before$/);
    assert.match(wrong(['boot', ''], ['exit', '0']), /^exit 0: "ready" has not been said$/);
    assert.match(wrong(['ready', '']), /"boot" has not been said/);
    assert.match(wrong(['alive', 'soon']), /^alive soon: /);
    for (const code of ['0', '9', '10', '99', '199', '255']) {
      const { reader, say } = machine();
      reader.feed(Buffer.from(ready.map(([word, rest]) => `${say(word, rest)}\n`).join('')));
      assert.deepEqual(reader.feed(Buffer.from(`${say('exit', code)}\n`)), [mark('exit', code)]);
    }
  });

  test('what the command writes there is for who knows it, and else is text', () => {
    const taken: string[] = [];
    const reader = new ConsoleReader(new Marks(), (text) => {
      taken.push(text);
      return text === 'check 1 abc';
    });
    reader.feed(Buffer.from('[ 1.000000] @kvm-dsm check 1 abc\r\n@kvm-dsm check 2 abc\n'));
    assert.deepEqual(taken, ['check 1 abc', 'check 2 abc']);
    assert.deepEqual(reader.tail(), ['@kvm-dsm check 2 abc']);
  });

  test('panics and reports are found behind the time, and in no other place', () => {
    const { reader } = machine();
    const read = (line: string) => reader.feed(Buffer.from(`${line}\n`))[0];
    assert.deepEqual(read('[    2.0] Kernel panic - not syncing: Fatal exception\r'), {
      type: 'panic',
      text: 'Fatal exception',
    });
    for (const [id, line] of [
      ['page-fault', 'BUG: kernel NULL pointer dereference, address: 0000000000000008'],
      ['warning', 'WARNING: CPU: 0 PID: 1 at kernel/x.c:1 f+0x0/0x10'],
      ['ubsan', 'UBSAN: shift-out-of-bounds in lib/x.c:1:2'],
    ] as const) {
      const event = read(`[    2.000000] ${line}\r`);
      assert.ok(event?.type === 'report');
      assert.equal(event.report.kind.id, id);
      assert.equal(messageOf(event.report.line), line);
    }
    assert.equal(read('[    2.000000] [Firmware Bug]: TSC_DEADLINE disabled'), undefined);
    assert.equal(read('[    2.000000] a driver says WARNING: CPU: 0'), undefined);
  });

  test('a line of 64 MiB without an end costs time by its length, and no more memory than a line may have', () => {
    const { reader, say } = machine();
    const chunk = Buffer.alloc(4096, 'x');
    const before = process.memoryUsage().heapUsed;
    for (let sent = 0; sent < 64 << 20; sent += chunk.length) assert.deepEqual(reader.feed(chunk), []);
    assert.ok(process.memoryUsage().heapUsed - before < 32 << 20);
    assert.deepEqual(reader.feed(Buffer.from(`end\n[ 1.000000] ${say('boot', 'x')}\n`)), [mark('boot', 'x')]);
    const [line = ''] = reader.tail();
    assert.match(line, /^x{65536} \(a line cut here\)$/);
  });

  test('what is no UTF-8, and what a terminal would obey, is shown and not passed on', () => {
    const reader = new ConsoleReader(new Marks());
    const bytes = [0xff, 0x61, 0xc3, 0x0a, 0xe2, 0x82, 0xac, 0xc2, 0x9b, 0x33, 0x31, 0x6d, 0x0a];
    for (const byte of bytes) reader.feed(Buffer.of(byte));
    reader.feed(Buffer.from('\x1b]0;title\x07 \x1b[2Jgone\x00\n'));
    assert.deepEqual(reader.tail(), ['\ufffda\ufffd', '€\\x9b31m', '0;title\\x07 gone']);
  });

  test('lines may come in any pieces; marks stay out of the log, a torn character does not', () => {
    const { reader, say } = machine();
    const bytes = Buffer.from(`\x1bc\x1b[?7lSeaBIOS\r\n[ 0.1] für\r\n[ 0.2] ${say('boot', '6.12')}\r\nlast`);
    const events = [...bytes].flatMap((byte) => reader.feed(Buffer.of(byte)));
    assert.deepEqual(events, [mark('boot', '6.12')]);
    assert.deepEqual(reader.tail(), ['SeaBIOS', '[ 0.1] für', 'last']);
    assert.deepEqual(reader.tail(2), ['[ 0.1] für', 'last']);
  });

  test('a crash stays in the log, however much follows it', () => {
    const reader = new ConsoleReader(new Marks());
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
