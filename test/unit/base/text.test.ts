/** Text that somebody else made, fit for a terminal. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ArgumentError } from '../../../lib/base/errors.ts';
import { jsonText, printable, printableLines } from '../../../lib/base/text.ts';

test('escape sequences are left out, other control characters are shown', () => {
  for (const [text, shown] of [
    ['plain text, für \u{1f600}\tand a tab', 'plain text, für \u{1f600}\tand a tab'],
    ['\x1b[31mred\x1b[0m', 'red'],
    ['\x1bc\x1b[?7lSeaBIOS', 'SeaBIOS'],
    ['\x1b]0;a title\x07text', '0;a title\\x07text'],
    ['\x1b]52;c;AAAA\x1b\\text', '52;c;AAAAtext'],
    ['\x1bPq#0\x1b\\', 'q#0'],
    ['\x9b31mred\x9d0;a\x9c\x90q', '\\x9b31mred\\x9d0;a\\x9c\\x90q'],
    ['a\rb\nc\x00\x7f\x08', 'a\\x0db\\x0ac\\x00\\x7f\\x08'],
    ['\u202egnirts\u2066', '\\u202egnirts\\u2066'],
    ['cut \x1b', 'cut '],
    ['cut \x1b[31', 'cut '],
    // What is left does not become a sequence again.
    ['\x1b\x1b[31m\x1b[31m', ''],
    ['\x1b\x1b[[31mx', '31mx'],
  ] as const)
    assert.equal(printable(text), shown, JSON.stringify(text));
});

test('lines stay lines', () => assert.equal(printableLines('a\x1b[2J\r\nb\x9b'), 'a\\x0d\nb\\x9b'));

test('JSON is the same value, without a character that a terminal obeys', () => {
  const value = { text: 'a\x1b[31m\x7f\x9b\u2028\u202e\tb', list: [1, null] };
  for (const text of [jsonText(value), jsonText(value, 2)]) {
    assert.deepEqual(JSON.parse(text), value);
    for (const line of text.split('\n')) assert.equal(printable(line), line);
  }
});

test('an error that quotes somebody', () => {
  const { message } = new ArgumentError('name', 'a sync point "\x1b]0;x\x07\x9b"\nand more', '');
  assert.equal(message, 'a sync point "0;x\\x07\\x9b"\nand more');
});
