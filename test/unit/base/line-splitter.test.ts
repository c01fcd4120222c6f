/** Bytes into lines. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LineSplitter } from '../../../lib/base/line-splitter.ts';

test('lines in any pieces, with characters of several bytes', () => {
  const bytes = Buffer.from('one für €\n\n\u{1f600}\r\nrest');
  for (let size = 1; size <= bytes.length; size++) {
    const splitter = new LineSplitter(100);
    const lines: string[] = [];
    for (let at = 0; at < bytes.length; at += size) lines.push(...splitter.feed(bytes.subarray(at, at + size)));
    assert.deepEqual(lines, ['one für €', '', '\u{1f600}\r'], `pieces of ${size}`);
    assert.equal(splitter.rest, 'rest');
  }
});

test('what is no UTF-8 is shown as such, and the line goes on', () => {
  const splitter = new LineSplitter(100);
  assert.deepEqual(splitter.feed(Buffer.from([0xc3, 0x28, 0xff, 0x0a, 0xe2, 0x82, 0x0a])), ['\ufffd(\ufffd', '\ufffd']);
});

test('a line that is too long is cut where it is, and the next one is whole', () => {
  const splitter = new LineSplitter(10);
  const fed = ['0123456789', 'x', 'y\nnext\n', '0123456789\n', '01234567890\n'].flatMap((text) =>
    splitter.feed(Buffer.from(text)),
  );
  assert.deepEqual(fed, ['0123456789 (a line cut here)', 'next', '0123456789', '0123456789 (a line cut here)']);
});
