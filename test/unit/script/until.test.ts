// What a run waits for, as it is compiled: what the addon counts, and what is refused by name.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rfcV2 } from '../../../lib/abi/dsm/rfc-v2.ts';
import { ArgumentError, type Exit, guestPorts, type TraceExit } from '../../../lib/index.ts';
import { goalOf, type Until } from '../../../lib/script/machine/until.ts';

const goal = (until: unknown) => goalOf(until as Until, [0, 1], rfcV2);

function refusal(until: unknown): ArgumentError {
  try {
    goal(until);
  } catch (error) {
    assert.ok(error instanceof ArgumentError, String(error));
    return error;
  }
  return assert.fail('nothing was thrown');
}

const exit = { name: 'KVM_EXIT_IO', reason: 2 } as Exit;
const handled = (vector: number, vcpu: number): TraceExit => ({
  seq: 0,
  ns: 0,
  rip: 0n,
  vcpu,
  exit,
  word: { kind: 'handled', vector },
});

test('a handled interrupt is counted by the addon, and each of its parts may be left out', () => {
  const { native, handled: telling, description, waitsForExits } = goal({ handled: 0xf0, vcpu: 1, count: 3 });
  assert.deepEqual(native, { is: 'word', port: guestPorts.handled, value: 0xf0, count: 3, vcpu: 1 });
  assert.deepEqual(telling, { vector: 0xf0, vcpu: 1 });
  assert.equal(description, 'vector 0xf0 handled 3 times on vCPU 1');
  assert.equal(waitsForExits, false);
  const any = goal({ handled: 'NMI' });
  assert.deepEqual(any.native, { is: 'word', port: guestPorts.handled, value: 2, count: 1 });
  assert.deepEqual(any.handled, { vector: 2 });
  assert.equal(any.description, 'NMI handled');
});

test('no other wait lets a handler tell', () => {
  for (const until of ['done', 'halted', { sync: 'a' }, { exits: 3 }, { fault: 13 }, () => true])
    assert.equal(goal(until).handled, undefined);
});

test('without the addon it is the same: that vector, on that vCPU, so often', () => {
  const { reached } = goal({ handled: 0xf0, vcpu: 1, count: 2 });
  assert.equal(reached(handled(0xf0, 1)), false);
  assert.equal(reached(handled(0xf1, 1)), false);
  assert.equal(reached(handled(0xf0, 0)), false);
  assert.equal(reached(handled(0xf0, 1)), true);
});

test('what cannot be waited for is refused by name', () => {
  const refused: [unknown, string, RegExp][] = [
    [{ handled: 0xf0, vpcu: 1 }, 'until.vpcu', /^Did you mean until\.vcpu\?$|^Did you mean vcpu\?$/],
    [{ handled: 0xf0, count: 0 }, 'until.count', /./],
    [{ handled: 0xf0, vcpu: 2 }, 'until.vcpu', /^Give one of 0, 1\.$/],
    [{ sync: 'a', vcpu: 2 }, 'until.vcpu', /^Give one of 0, 1\.$/],
    [{ handled: 256 }, 'until.handled', /./],
    [{ handled: '#GP' }, 'until.handled', /^Wait for it with `fault`/],
    [{ handled: 13 }, 'until.handled', /^Wait for it with `fault`/],
    [{ handled: 'NIM' }, 'until.handled', /^Did you mean NMI\?$/],
    [{ handeld: 0xf0 }, 'until', /^Did you mean handled\?$/],
    [{ sinc: 'x' }, 'until', /^Did you mean sync\?$/],
    [{ vcpu: 1 }, 'until', /./],
  ];
  for (const [until, argument, advice] of refused) {
    const error = refusal(until);
    assert.equal(error.argument, argument, error.message);
    assert.match(error.advice, advice, error.message);
    assert.doesNotMatch(error.message, /undefined/);
  }
});
