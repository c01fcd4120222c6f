/** The state of a vCPU's run: every event in the states in which it matters, and what never happens whatever the order. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  begun,
  isAlive,
  isInGuest,
  next,
  type RunEffect,
  type RunEvent,
  type RunState,
} from '../../../lib/kvm/vcpu/run/state.ts';

/** The states after the events, and the effect of the last. */
function after(state: RunState, ...events: RunEvent[]): [RunState, RunEffect | undefined] {
  let effect: RunEffect | undefined;
  for (const event of events) [state, effect] = next(state, event);
  return [state, effect];
}

const news = (thread: 'exit' | 'paused' | 'ringFull' | 'failed' | 'ended' | 'guest', seq = -1): RunEvent => ({
  is: 'news',
  thread,
  held: seq >= 0,
  seq,
});
const turn: RunEvent = { is: 'turn' };
const given: RunEvent = { is: 'given' };
const stop: RunEvent = { is: 'stop' };
const pause: RunEvent = { is: 'pause' };
const resume: RunEvent = { is: 'resume' };
const answered = (seq: number): RunEvent => ({ is: 'answered', seq });
const fail: RunEvent = { is: 'fail', error: 'first' };

describe('with onExit', () => {
  const run = begun('onExit');
  const atExit = after(run, news('exit', 0))[0];
  const dealing = after(atExit, turn, given)[0];

  const rows: [
    what: string,
    from: RunState,
    events: RunEvent[],
    effect: RunEffect | undefined,
    to: Partial<RunState>,
  ][] = [
    [
      'news of an exit are looked at',
      run,
      [news('exit', 0)],
      'turn',
      { thread: 'exit', exit: { seq: 0, is: 'waiting' } },
    ],
    ['it is handed over', atExit, [turn], 'handOver', { given: -1 }],
    ['once', dealing, [turn], undefined, { given: 0, exit: { seq: 0, is: 'given' } }],
    ['and the guest goes on when it is answered', dealing, [answered(0)], 'enter', { thread: 'guest', exit: null }],
    ['an answer to an older exit is none', dealing, [answered(7)], undefined, { thread: 'exit' }],
    ['news of the same exit do not hand it over again', dealing, [news('exit', 0), turn], undefined, { given: 0 }],
    [
      'a pause while it is dealt with keeps the guest out',
      dealing,
      [pause, answered(0)],
      undefined,
      { asked: 'pause' },
    ],
    ['until it is taken back', dealing, [pause, answered(0), resume], 'enter', { thread: 'guest' }],
    [
      'a pause that is taken back before the answer waits for it',
      dealing,
      [pause, resume],
      undefined,
      { thread: 'exit' },
    ],
    ['a pause in the guest takes it out', run, [pause], 'takeOut', { asked: 'pause', thread: 'guest' }],
    ['and it stays out', run, [pause, news('paused'), turn], undefined, { thread: 'paused' }],
    ['a pause that nobody wants any more is over', run, [pause, resume, news('paused'), turn], 'enter', {}],
    ['a kick: it goes on at once', run, [news('paused'), turn], 'enter', {}],
    ['a full ring that has been read: it goes on', run, [news('ringFull', 5), turn], 'enter', { exit: null }],
    [
      'a full ring that was read during a pause: it goes on after the pause',
      run,
      [pause, news('ringFull', 5), turn, resume],
      'turn',
      { asked: 'run' },
    ],
    [
      'one that was recorded at the end is not handed over',
      run,
      [news('ringFull', 5), stop, news('ended'), turn],
      'finish',
      {},
    ],
    ['an exit that was recorded meanwhile is nobody’s', run, [news('ringFull', 5), news('paused'), turn], 'enter', {}],
    ['a stop ends the thread', run, [stop], 'halt', { asked: 'stop' }],
    ['one stop is enough', run, [stop, stop], undefined, {}],
    ['it is not taken back', run, [stop, resume, pause], 'takeOut', { asked: 'stop' }],
    ['an exit that meets a stop waits for the end', run, [stop, news('exit', 3), turn], undefined, { thread: 'exit' }],
    ['and is handed over then', run, [stop, news('exit', 3), news('ended', 3), turn], 'handOver', {}],
    [
      'the run is over when it is given',
      run,
      [stop, news('ended', 3), turn, given, turn],
      'finish',
      { thread: 'over' },
    ],
    ['an end without an exit', run, [stop, news('ended'), turn], 'finish', { thread: 'over' }],
    ['nothing happens after it', run, [stop, news('ended'), turn, turn], undefined, { thread: 'over' }],
    ['a failure ends the thread', dealing, [fail], 'halt', { failure: { error: 'first' } }],
    [
      'the first one counts',
      dealing,
      [fail, { is: 'fail', error: 'second' }],
      undefined,
      { failure: { error: 'first' } },
    ],
    ['what comes with the end is not handed over then', dealing, [fail, news('ended', 9), turn], 'finish', {}],
    ['a failure after the end is told', run, [stop, news('ended', 1), fail], 'turn', { failure: { error: 'first' } }],
    ['KVM_RUN’s failure waits for its error', run, [news('failed')], undefined, { thread: 'failed' }],
    ['which ends the thread', run, [news('failed'), fail], 'halt', {}],
    ['a vCPU that is closed has no exit', atExit, [{ is: 'closed' }], 'turn', { thread: 'ended', exit: null }],
    ['and is over', atExit, [{ is: 'closed' }, turn], 'finish', { thread: 'over' }],
    ['twice is once', atExit, [{ is: 'closed' }, turn, { is: 'closed' }], undefined, { thread: 'over' }],
  ];
  for (const [what, from, events, effect, to] of rows)
    test(what, () => {
      const [state, did] = after(from, ...events);
      assert.equal(did, effect);
      assert.deepEqual({ ...state, ...to }, state);
    });
});

describe('with a loop', () => {
  const run = begun('nobody');
  const loop: RunEvent = { is: 'loop' };
  const wants: RunEvent = { is: 'next' };
  const late: RunEvent = { is: 'late' };
  const rows: [what: string, events: RunEvent[], effect: RunEffect | undefined, to: Partial<RunState>][] = [
    ['an exit that nobody takes waits', [news('exit', 0), turn], undefined, { exit: { seq: 0, is: 'waiting' } }],
    ['also for a loop that has not asked yet', [loop, news('exit', 0), turn], undefined, { reader: 'body' }],
    ['next() gets it', [loop, news('exit', 0), turn, wants, turn], 'handOver', { reader: 'next' }],
    ['its body has it', [loop, wants, news('exit', 0), turn, given], undefined, { reader: 'body', given: 0 }],
    ['the guest goes on when the next is asked for', [loop, wants, news('exit', 0), turn, given, wants], 'enter', {}],
    ['not during a pause', [loop, wants, news('exit', 0), turn, given, pause, wants], undefined, { thread: 'exit' }],
    ['a late exit: the guest is taken out first', [loop, wants, late], 'takeOut', { reader: 'late' }],
    ['then it is told', [loop, wants, late, news('paused'), turn], 'failLate', { reader: 'next' }],
    ['unless the exit came on the way', [loop, wants, late, news('exit', 0), turn], 'handOver', {}],
    ['out of the guest it is told at once', [loop, wants, pause, news('paused'), late], 'failLate', {}],
    ['a deadline that nobody waits for is none', [loop, late], undefined, { reader: 'body' }],
    ['at the end it waits for the body', [loop, wants, stop, news('ended', 2), turn], 'handOver', {}],
    ['a loop that was left takes nothing', [loop, { is: 'left' }, stop, news('ended', 2), turn], 'finish', {}],
    [
      'one that is left at the end leaves it, and the run is over',
      [loop, stop, news('ended', 2), turn, { is: 'left' }],
      'turn',
      {},
    ],
    ['nor does a run that nobody reads', [stop, news('ended', 2), turn], 'finish', {}],
    [
      'an exit at the end waits for a body at work',
      [loop, stop, news('ended', 2), turn],
      undefined,
      { thread: 'ended' },
    ],
  ];
  for (const [what, events, effect, to] of rows)
    test(what, () => {
      const [state, did] = after(run, ...events);
      assert.equal(did, effect);
      assert.deepEqual({ ...state, ...to }, state);
    });
});

test('inGuest: in it, or on the way out of it for good', () => {
  assert.ok(isInGuest(begun('onExit')));
  const stopping = after(begun('onExit'), news('exit', 0), stop)[0];
  assert.ok(isInGuest(stopping) && isAlive(stopping));
  const ended = after(stopping, news('ended', 0))[0];
  assert.ok(!isInGuest(ended) && !isAlive(ended));
  assert.ok(!isInGuest(after(begun('onExit'), news('exit', 0))[0]));
});

/** What the thread and the caller can do, as long as the run is not over. The thread obeys what it was told. */
const acts = fc.constantFrom(
  'exit',
  'kick',
  'pause',
  'resume',
  'stop',
  'fail',
  'answer',
  'next',
  'late',
  'left',
  'close',
);

test('whatever the order: each exit is handed over once and in order, a stop ends the run, and nothing comes after the end', () => {
  fc.assert(
    fc.property(fc.boolean(), fc.array(acts, { maxLength: 60 }), (handler, script) => {
      let state = begun(handler ? 'onExit' : 'nobody');
      if (!handler) [state] = next(state, { is: 'loop' });
      let made = 0;
      let inside = true;
      let halted = false;
      let finished = 0;
      const handed: number[] = [];
      const happened = (event: RunEvent): void => {
        const [now, effect] = next(state, event);
        state = now;
        switch (effect) {
          case 'enter':
            assert.ok(!inside && !halted && finished === 0, 'it enters once, and not after a stop');
            inside = true;
            return;
          case 'takeOut':
            if (!inside) return;
            inside = false;
            happened(news('paused'));
            return;
          case 'halt':
            halted = true;
            return;
          case 'turn':
            happened(turn);
            return;
          case 'handOver':
            handed.push(state.exit!.seq);
            happened(given);
            // The handler returns at once every other time.
            if (handler && state.exit && state.exit.seq % 2 === 0) happened(answered(state.exit.seq));
            if (!isAlive(state)) happened(turn);
            return;
          case 'failLate':
            happened(fail);
            return;
          case 'finish':
            finished += 1;
        }
      };
      for (const act of script) {
        if (state.thread === 'over') break;
        if (act === 'exit' && inside && isAlive(state)) {
          inside = false;
          happened(news('exit', made++));
        } else if (act === 'kick' && inside && isAlive(state)) {
          inside = false;
          happened(news('paused'));
        } else if (act === 'answer' && state.exit) happened(answered(state.exit.seq));
        else if (act === 'next' && !handler) happened({ is: 'next' });
        else if (act === 'late' || act === 'pause' || act === 'resume' || act === 'stop') happened({ is: act });
        else if (act === 'left' && !handler) happened({ is: 'left' });
        else if (act === 'fail') happened(fail);
        else if (act === 'close') happened({ is: 'closed' });
        assert.ok(
          handed.every((seq, index) => seq === index),
          `handed over: ${handed}`,
        );
        assert.equal(state.given, handed.length - 1);
      }
      if (state.thread === 'over') {
        assert.equal(finished, 1);
        return;
      }
      happened(stop);
      assert.ok(halted || !isAlive(state));
      if (isAlive(state)) happened(news('ended', state.exit?.is === 'waiting' ? state.exit.seq : -1));
      if (state.thread === 'ended') happened({ is: 'left' });
      if (state.thread === 'ended') happened(turn);
      assert.equal(state.thread, 'over');
      assert.equal(finished, 1);
    }),
    { numRuns: 2000 },
  );
});
