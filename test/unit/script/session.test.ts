// What sessions of one process have apart; the machines of two are in test/host/session.test.ts.
import assert from 'node:assert/strict';
import { AsyncResource } from 'node:async_hooks';
import { EventEmitter, once } from 'node:events';
import { afterEach, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { RunBudget } from '../../../lib/base/budget.ts';
import { Random, random } from '../../../lib/index.ts';
import { Session } from '../../../lib/script/session.ts';

/** As node does with its own events: in no session's context. */
const outside = AsyncResource.bind((work: () => void) => work());

const plain = Session.current;
afterEach(() => plain.makeDefault());

/** Draws with turns of the event loop in between, so that two who draw alternate. */
async function draw(): Promise<number[]> {
  const drawn: number[] = [];
  for (let i = 0; i < 5; i++) {
    drawn.push(random.integer(0, 0xffff_ffff));
    await turn();
  }
  return drawn;
}

test('two sessions draw from their own random choices, however their work alternates', async () => {
  const sessions = [1, 2].map((seed) => new Session({ random: new Random(seed) }));
  const drawn = await Promise.all(sessions.map((session) => session.run(draw)));
  const alone = [1, 2].map((seed) => {
    const choices = new Random(seed);
    return Array.from({ length: 5 }, () => choices.integer(0, 0xffff_ffff));
  });
  assert.deepEqual(drawn, alone);
});

test('what follows of a session is in it: timers, promises, its own emitters, a time limit', async () => {
  const budget = new RunBudget(60_000);
  const session = new Session({ budget });
  const [late, emitted, limit] = await session.run(async () => {
    await turn();
    const emitter = new EventEmitter();
    setTimeout(() => emitter.emit('ready'), 1);
    await once(emitter, 'ready');
    return [
      Session.current,
      await new Promise((resolve) => setTimeout(() => resolve(Session.current))),
      RunBudget.current,
    ];
  });
  assert.deepEqual([late === session, emitted === session, limit === budget], [true, true, true]);
  assert.equal(Session.current, plain);
});

test('a listener that somebody outside calls is in the default session of the process', async () => {
  const emitter = new EventEmitter();
  const seen: unknown[] = [];
  const listen = () => emitter.on('event', () => seen.push(Session.current, random.seed, RunBudget.current));
  const first = new Session({ random: new Random(11), budget: new RunBudget(60_000) });
  first.run(listen);
  outside(() => emitter.emit('event'));
  assert.notEqual(seen[0], first, 'no session is the default yet');
  assert.equal(seen[0], plain);

  first.makeDefault();
  seen.length = 0;
  outside(() => emitter.emit('event'));
  assert.deepEqual([seen[0] === first, seen[1], seen[2] === first.budget], [true, 11, true]);

  // Another one's own work stays its own.
  const second = new Session({ random: new Random(22) });
  assert.equal(
    second.run(() => Session.current),
    second,
  );
});
