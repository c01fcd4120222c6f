/** Text that somebody else made, fit for a terminal. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { printable } from '../../../lib/base/text.ts';

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
