/** What a command and the process that keeps a machine say to each other. */
import assert from 'node:assert/strict';
import { readlinkSync } from 'node:fs';
import { describe, test } from 'node:test';
import { OutputEnd } from '../../../lib/lab/warm/end-mark.ts';
import { describeMisfits, isFit, misfits } from '../../../lib/lab/warm/fit.ts';
import { faultOf, readLeft } from '../../../lib/lab/warm/left.ts';
import { ask, readAnswer, readAsk } from '../../../lib/lab/warm/protocol.ts';
import { LONGEST_MESSAGE, MessageReader, packMessage, WireError } from '../../../lib/lab/warm/wire.ts';

const fit = { kernel: 'k', cmdline: '', emulator: 'e', package: 'p' };

describe('messages', () => {
  const sent = [packMessage('ask', '{}'), packMessage('console', Buffer.from([0, 10, 255])), packMessage('done')];
  const kinds = ['ask', 'console', 'done'];

  test('arrive whole, however they are cut', () => {
    const bytes = Buffer.concat(sent);
    for (let size = 1; size <= bytes.length; size++) {
      const reader = new MessageReader();
      const got = [];
      for (let at = 0; at < bytes.length; at += size) got.push(...reader.feed(bytes.subarray(at, at + size)));
      assert.deepEqual(
        got.map(({ kind }) => kind),
        kinds,
      );
      assert.deepEqual([...got[1]!.data], [0, 10, 255]);
    }
  });

  test('of an unknown kind, or too long, are refused before their content comes', () => {
    assert.throws(() => new MessageReader().feed(Buffer.from([77, 0, 0, 0, 0])), WireError);
    const long = packMessage('archive').fill(0, 1);
    long.writeUInt32LE(LONGEST_MESSAGE + 1, 1);
    assert.throws(() => new MessageReader().feed(long), WireError);
  });

  test('the beginning of one is none', () => {
    assert.deepEqual(new MessageReader().feed(packMessage('ask', 'text').subarray(0, 7)), []);
  });
});

describe('a question', () => {
  test('is read back', () => {
    const asked = readAsk(Buffer.from(ask('run', fit)));
    assert.ok(typeof asked === 'object');
    assert.deepEqual([asked.want, asked.fit], ['run', fit]);
  });

  const processes = readlinkSync('/proc/self/ns/pid');
  for (const [what, text] of [
    ['no JSON', '{'],
    ['no object', '7'],
    ['null', 'null'],
    ['another version', JSON.stringify({ protocol: 2, want: 'down', processes })],
    ['an unknown wish', JSON.stringify({ protocol: 1, want: 'toString', processes })],
    ['another container', JSON.stringify({ protocol: 1, want: 'down', processes: 'pid:[1]' })],
    ['a turn on an unknown machine', JSON.stringify({ protocol: 1, want: 'run', processes, fit: { kernel: 1 } })],
  ] as const) {
    test(`${what} is refused in words`, () => assert.equal(typeof readAsk(Buffer.from(text)), 'string'));
  }

  test('an answer that cannot be read is none', () => {
    for (const text of ['', '[]', '{"type":1}', 'turn']) assert.equal(readAnswer(Buffer.from(text)), null);
  });
});

describe('the end of the output', () => {
  test('is found wherever it is cut, and nothing of it is output', () => {
    const bytes = Buffer.from('one \x1e two\x1eab\x1eabcd behind');
    for (let size = 1; size <= bytes.length; size++) {
      const end = new OutputEnd('abcd');
      let out = '';
      for (let at = 0; at < bytes.length; at += size) out += end.feed(bytes.subarray(at, at + size)).toString();
      assert.equal(out, 'one \x1e two\x1eab');
      assert.equal(end.ended, true);
    }
  });

  test('what could have been its begin is output where none comes', () => {
    const end = new OutputEnd('abcd');
    assert.equal(end.feed(Buffer.from('x\x1eab')).toString(), 'x');
    assert.equal(end.rest().toString(), '\x1eab');
    assert.equal(end.ended, false);
  });
});

test('a machine fits if it is the one that would be booted', () => {
  assert.deepEqual(misfits(fit, { ...fit }), []);
  assert.deepEqual(misfits(fit, { ...fit, kernel: 'x', package: 'y' }), ['kernel', 'package']);
  assert.equal(describeMisfits(['kernel', 'cmdline']), 'another kernel, another kernel command line');
  for (const value of [null, 1, {}, { ...fit, cmdline: 3 }]) assert.equal(isFit(value), false);
});

test('what a command leaves decides whether the next may have the machine', () => {
  const fresh = readLeft('0 300000 abc');
  assert.equal(faultOf(fresh, readLeft('0 290000 abc')), null);
  assert.match(faultOf(fresh, readLeft('512 300000 abc'))!, /tainted \(512\)/);
  assert.match(faultOf(fresh, readLeft('0 300000 abc sleep node'))!, /processes behind: sleep, node/);
  assert.match(faultOf(fresh, readLeft('0 300000 abd'))!, /parameters/);
  assert.match(faultOf(fresh, readLeft('0 200000 abc'))!, /98 MiB/);
});
