/** Several places that run one plan. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Facts } from '../../../lib/suite/run/facts.ts';
import type { Executor, Item, Sink } from '../../../lib/suite/run/protocol.ts';
import { sideBySide } from '../../../lib/suite/run/side-by-side.ts';

const items: Item[] = Array.from({ length: 7 }, (_, n) => ({ n, id: `word.${n}`, round: 1 }));

/** Writes down what it is told, and says no after the item `last`. */
class Heard implements Sink {
  readonly words: string[] = [];
  readonly #last: number;

  constructor(last = items.length) {
    this.#last = last;
  }

  facts(): void {
    this.words.push('facts');
  }

  start({ n }: Item): void {
    this.words.push(`start ${n}`);
  }

  outcome({ n }: Item, outcome: Parameters<Sink['outcome']>[1]): boolean {
    this.words.push(outcome.kind === 'fail' ? `${n} ${outcome.reason}` : `${outcome.kind} ${n}`);
    return n !== this.#last;
  }

  note(text: string): void {
    this.words.push(text);
  }
}

const facts = {} as Facts;
const pass = (sink: Sink, item: Item) => {
  sink.start(item);
  return sink.outcome(item, { kind: 'pass' }, 1, 1);
};
const all: Executor = async (dealt, sink) => {
  sink.facts(facts);
  for (const item of dealt) if (!pass(sink, item)) break;
  return null;
};
const inOrder = items.flatMap(({ n }) => [`start ${n}`, `pass ${n}`]);

describe('a plan at several places', () => {
  test('each item runs at one of them, and is told in its order', async () => {
    const dealt: number[][] = [];
    const heard = new Heard();
    const why = await sideBySide(3, (place) => async (part, sink) => {
      dealt[place] = part.map(({ n }) => n);
      return await all(part, sink);
    })(items, heard);
    assert.equal(why, null);
    assert.deepEqual(dealt, [
      [0, 3, 6],
      [1, 4],
      [2, 5],
    ]);
    assert.deepEqual(
      heard.words.filter((word) => word !== 'facts'),
      inOrder,
    );
  });

  test('one that is late holds the words of the others, not their work', async () => {
    const heard = new Heard();
    let resolve = () => {};
    const othersDone = new Promise<void>((done) => {
      resolve = done;
    });
    await sideBySide(2, (place) => async (part, sink) => {
      if (place === 0) await othersDone;
      const why = await all(part, sink);
      if (place === 1) {
        assert.deepEqual(heard.words, ['facts']);
        resolve();
      }
      return why;
    })(items, heard);
    assert.deepEqual(heard.words, ['facts', 'facts', ...inOrder]);
  });

  test('what has begun is told as soon as it is its turn', async () => {
    const heard = new Heard();
    await sideBySide(2, (place) => async (part, sink) => {
      if (place === 1) return await all(part, sink);
      sink.start(part[0]!);
      assert.deepEqual(heard.words, ['start 0']);
      return await all(part, sink);
    })(items, heard);
  });

  test('a sink that wants no more ends every place, and is told nothing more', async () => {
    const heard = new Heard(2);
    const aborted: boolean[] = [];
    const why = await sideBySide(2, (place, signal) => async (part, sink) => {
      if (place === 0) return await all(part, sink);
      pass(sink, part[0]!);
      await new Promise<void>((resolve) =>
        signal.aborted ? resolve() : signal.addEventListener('abort', () => resolve()),
      );
      aborted.push(signal.aborted);
      pass(sink, part[1]!);
      throw new Error('interrupted');
    })(items, heard);
    assert.equal(why, null);
    assert.deepEqual(aborted, [true]);
    assert.deepEqual(
      heard.words.filter((word) => word.startsWith('pass')),
      ['pass 0', 'pass 1', 'pass 2'],
    );
  });

  test('one that breaks costs its own items, in their order, and ends the run with its error', async () => {
    const heard = new Heard();
    const run = sideBySide(2, (place) => async (part, sink) => {
      if (place === 0) return await all(part, sink);
      pass(sink, part[0]!);
      throw new Error('the machine burned');
    })(items, heard);
    await assert.rejects(run, /the machine burned/);
    assert.deepEqual(
      heard.words.filter((word) => /^(?:pass|\d)/.test(word)),
      [
        'pass 0',
        'pass 1',
        'pass 2',
        '3 not run: the machine burned',
        'pass 4',
        '5 not run: the machine burned',
        'pass 6',
      ],
    );
  });

  test('one whose time is over says so of its own items', async () => {
    const heard = new Heard();
    const why = await sideBySide(
      2,
      (place) => async (part, sink) => (place === 0 ? await all(part, sink) : 'the time is over'),
    )(items, heard);
    assert.equal(why, 'the time is over');
    assert.deepEqual(heard.words.filter((word) => /^\d/.test(word)).length, 3);
  });

  test('one place is that place', async () => {
    const heard = new Heard();
    await sideBySide(1, () => all)(items, heard);
    assert.deepEqual(heard.words, ['facts', ...inOrder]);
  });

  test('what has come out of turn when a signal comes is told, and the rest is not', async () => {
    const heard = new Heard();
    const abort = new AbortController();
    const run = sideBySide(
      2,
      (place) => async (part, sink) => {
        if (place === 0)
          return await new Promise((_, reject) =>
            abort.signal.addEventListener('abort', () => reject(new Error('gone'))),
          );
        for (const item of part.slice(0, 2)) pass(sink, item);
        abort.abort();
        throw new Error('gone');
      },
      abort.signal,
    );
    await assert.rejects(Promise.resolve(run(items, heard)), /gone/);
    assert.deepEqual(heard.words, ['pass 1', 'pass 3']);
  });
});
