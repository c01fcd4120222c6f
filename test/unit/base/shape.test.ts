/** What is declared of an object: its keys, what each may be, and that nothing else is taken. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { milliseconds } from '../../../lib/base/duration.ts';
import { ArgumentError } from '../../../lib/base/errors.ts';
import { boolean, integer, listOf, oneOf, optional, orNull, shape, text } from '../../../lib/base/shape.ts';

interface Lamp {
  watts: number;
  colour?: 'white' | 'red';
  dimmed?: boolean;
  socket?: { size: number; maker?: string | null };
  rooms?: readonly string[];
}

const lamp = shape<Lamp>('a lamp has', {
  watts: integer(1, 100),
  colour: optional(oneOf(['white', 'red'])),
  dimmed: optional(boolean),
  socket: optional(
    shape<NonNullable<Lamp['socket']>>('a socket has', { size: integer(14, 40), maker: optional(orNull(text)) }),
  ),
  rooms: optional(listOf(text, 2)),
});

function refusal(call: () => unknown): ArgumentError {
  try {
    call();
  } catch (error) {
    assert.ok(error instanceof ArgumentError, String(error));
    return error;
  }
  return assert.fail('nothing was refused');
}

/** [argument, message, advice] */
const said = (value: unknown): string[] => {
  const { argument, message, advice } = refusal(() => lamp.take(value, 'lamp'));
  return [argument, message, advice];
};

describe('an object by its shape', () => {
  test('what is declared is given back, what is left out stays out', () => {
    assert.deepEqual(lamp.take({ watts: 5 }), { watts: 5 });
    const whole = { watts: 5, colour: 'red', dimmed: false, socket: { size: 27, maker: null }, rooms: ['hall'] };
    assert.deepEqual(lamp.take(whole), whole);
    assert.notEqual(lamp.take(whole), whole);
    assert.deepEqual(lamp.take({ watts: 5, colour: undefined }), { watts: 5 });
    assert.deepEqual(lamp.take(Object.assign(Object.create(null), { watts: 5 })), { watts: 5 });
  });

  test('a key that is not declared, at any depth, with what may have been meant', () => {
    assert.deepEqual(said({ watts: 5, color: 'red' }), ['color', 'a lamp has no color', 'Did you mean colour?']);
    assert.deepEqual(said({ watts: 5, Watts: 5 }), ['Watts', 'a lamp has no Watts', 'Did you mean watts?']);
    assert.deepEqual(said({ watts: 5, zzz: 1 })[2], 'Known: watts, colour, dimmed, socket, rooms.');
    assert.deepEqual(said({ watts: 5, size: 27 }), ['size', 'a lamp has no size', 'Did you mean socket.size?']);
    const inside = said({ watts: 5, socket: { size: 27, maler: 'x' } });
    assert.deepEqual(inside, ['socket.maler', 'a socket has no socket.maler', 'Did you mean maker?']);
    assert.equal(said({ watts: 5, dimmedLamp: true })[2], 'Did you mean dimmed?');
    assert.equal(said({ watts: 5, 'socket.size': 27 })[0], 'socket.size');
  });

  test('symbols, what is inherited and what is not enumerable count as keys', () => {
    assert.match(said({ watts: 5, [Symbol('odd')]: 1 })[1]!, /no Symbol\(odd\)$/);
    assert.match(said(Object.defineProperty({ watts: 5 }, 'zzz', { value: 1 }))[1]!, /no zzz$/);
    assert.match(said(Object.create({ watts: 5, zzz: 1 }))[1]!, /no zzz$/);
    assert.deepEqual(lamp.take(Object.create({ watts: 5 })), { watts: 5 });
    assert.match(said(new Map([['watts', 5]]))[1]!, /^a lamp has no /);
    class Odd {
      watts = 5;
      shine() {}
    }
    assert.match(said(new Odd())[1]!, /no shine$/);
  });

  test('a key that everything inherits is no option', () => {
    const everything = Object.prototype as { dimmed?: boolean };
    everything.dimmed = true;
    try {
      assert.deepEqual(lamp.take({ watts: 5 }), { watts: 5 });
    } finally {
      delete everything.dimmed;
    }
  });

  test('a value of another type, by the path of its key', () => {
    assert.deepEqual(said({}).slice(0, 1), ['watts']);
    assert.match(said({ watts: '5' })[1]!, /^watts "5" is not an integer from 1 to 100$/);
    assert.deepEqual(said({ watts: 5, colour: 'rad' }).slice(0, 1), ['colour']);
    assert.equal(said({ watts: 5, colour: 'rad' })[2], 'Did you mean red?');
    assert.deepEqual(said({ watts: 5, dimmed: 1 })[1], 'dimmed is 1, not true or false');
    assert.deepEqual(said({ watts: 5, dimmed: null })[0], 'dimmed');
    assert.equal(said({ watts: 5, socket: { size: 9 } })[0], 'socket.size');
    assert.equal(said({ watts: 5, socket: 'E27' })[0], 'socket');
    assert.equal(said({ watts: 5, rooms: ['hall', 5] })[0], 'rooms[1]');
    assert.equal(said({ watts: 5, rooms: ['a', 'b', 'c'] })[0], 'rooms');
    for (const value of [null, 5, 'x', [], () => 0]) assert.equal(said(value)[0], 'lamp');
  });

  test('each key is read once: a getter cannot answer otherwise later', () => {
    let read = 0;
    const moody = {
      get watts() {
        read += 1;
        return read === 1 ? 5 : 5000;
      },
    };
    assert.deepEqual(lamp.take(moody), { watts: 5 });
    assert.equal(read, 1);
  });

  test('in part: any key may be left out, at any depth, and none may be undefined', () => {
    assert.deepEqual(lamp.takePart({ socket: { maker: 'x' } }), { socket: { maker: 'x' } });
    assert.deepEqual(lamp.takePart({}), {});
    assert.equal(refusal(() => lamp.takePart({ watts: undefined })).argument, 'watts');
    assert.equal(refusal(() => lamp.takePart({ socket: { zzz: 1 } })).argument, 'socket.zzz');
  });
});

test('a duration says the forms that it has', () => {
  for (const wrong of ['2 s', '500 ms', Number.POSITIVE_INFINITY, 0, '1h', 5n, '2S', -1, null, '', 's', Number.NaN]) {
    const { message, advice } = refusal(() => milliseconds(wrong as never));
    assert.match(message, /is not a duration: a number of milliseconds, or text such as "500ms", "2s", "1.5m"$/);
    assert.match(advice, /at most a day/);
  }
  assert.match(refusal(() => milliseconds(5n as never)).message, /^deadline 5n is/);
  assert.deepEqual(
    [milliseconds('0.5s'), milliseconds('2s'), milliseconds('1.5m'), milliseconds(3)],
    [500, 2000, 90_000, 3],
  );
});
