/** Bytes of a machine's serial lines, on their way to an output. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { describe, mock, test } from 'node:test';
import { passOn } from '../../../lib/lab/boot/pass-on.ts';

/** Bytes that come by two lines in turns, into one output; what was written, one write each. */
function two(whole: boolean) {
  const written: string[] = [];
  const output = new PassThrough();
  output.on('data', (bytes: Buffer) => written.push(bytes.toString()));
  const lines = [new PassThrough(), new PassThrough()] as const;
  for (const line of lines) passOn(line, output, { came() {}, gone() {} }, whole);
  return { lines, written, output };
}

async function inTurns(lines: readonly [PassThrough, PassThrough], texts: readonly [string, string]): Promise<void> {
  for (let at = 0; at < Math.max(...texts.map(({ length }) => length)); at++)
    for (const [index, text] of texts.entries()) {
      if (at >= text.length) continue;
      lines[index]!.write(text[at]!);
      await new Promise((resolve) => setImmediate(resolve));
    }
  for (const line of lines) line.destroy();
  await Promise.all(lines.map((line) => line.closed || once(line, 'close')));
  await new Promise((resolve) => setImmediate(resolve));
}

describe('what comes by two serial lines', () => {
  test('byte by byte and in turns stands in one output line by line, a last one without an end as well', async () => {
    const { lines, written } = two(true);
    await inTurns(lines, ['one\nthree\nlast', 'two\nfour\n']);
    assert.deepEqual(
      written
        .join('')
        .split(/\n|(?<=last)/)
        .filter(Boolean)
        .sort(),
      ['four', 'last', 'one', 'three', 'two'],
    );
  });

  test('is not kept where a person types', async () => {
    const { lines, written } = two(false);
    await inTurns(lines, ['ac\n', 'bd\n']);
    assert.equal(written.join(''), 'abcd\n\n');
  });

  test('the begin of a line that has no end comes, too', async () => {
    const { lines, output } = two(true);
    lines[0].write('name? ');
    const [bytes] = await once(output, 'data');
    assert.equal(String(bytes), 'name? ');
  });

  test('nothing is written to a reader that has gone', async () => {
    const gone = mock.fn();
    const output = new PassThrough();
    const line = new PassThrough();
    passOn(line, output, { came() {}, gone }, true);
    output.destroy();
    await once(output, 'close');
    line.write('late\n');
    line.destroy();
    await once(line, 'close');
    assert.ok(gone.mock.callCount() > 0);
  });
});
