/** Options, states and answers of the kit that are not what it knows: refused by name, never ignored. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ArgumentError, asm, idle, machine, sync } from '../../lib/index.ts';
import { noKvm } from '../support/host.ts';

// biome-ignore lint/suspicious/noExplicitAny: these are what the types refuse.
const odd = (value: unknown): any => value;

async function refusal(call: () => unknown): Promise<ArgumentError> {
  try {
    await call();
  } catch (error) {
    assert.ok(error instanceof ArgumentError, String(error));
    return error;
  }
  return assert.fail('nothing was refused');
}

test('a machine that is asked for by a wrong word', async () => {
  const { argument, message, advice } = await refusal(() => machine(odd({ vcpu: 4 })));
  assert.deepEqual([argument, message, advice], ['vcpu', 'machine() takes no vcpu', 'Did you mean vcpus?']);
  assert.equal((await refusal(() => machine(odd({ apicMode: 'x2apic' })))).advice, 'Did you mean apic?');
  assert.equal((await refusal(() => machine(odd({ apic: 'x2Apic' })))).advice, 'Did you mean x2apic?');
  for (const options of [{ apicv: 1 }, { vcpus: null }, { irqchip: null }, { cpuid: 'hideX2apic' }])
    assert.equal((await refusal(() => machine(odd(options)))).argument, Object.keys(options)[0]);
});

describe('a machine', { skip: noKvm }, () => {
  test('whose cpuid answers nothing, a promise, or half an entry', async () => {
    for (const answer of [() => {}, async () => [], () => [{ function: 1 }], () => [5]]) {
      const { argument } = await refusal(() => machine({ cpuid: odd(answer) }));
      assert.match(argument, /^the answer of cpuid/);
    }
    await using _ = await machine({ cpuid: (supported) => supported });
  });

  test('a program with an option that there is not', async () => {
    await using m = await machine();
    const load = (options: object) => () => m.vcpu(0).program(asm.flat32`hlt`, odd(options));
    assert.equal((await refusal(load({ interupts: false }))).advice, 'Did you mean interrupts?');
    assert.equal((await refusal(load({ handler: { 64: 'on' } }))).advice, 'Did you mean handlers?');
    for (const options of [{ interrupts: 1 }, { idt: 'none' }, { start: 'SIPI' }, { handlers: 5 }])
      assert.equal((await refusal(load(options))).argument, Object.keys(options)[0]);
    assert.equal(m.vcpu(0).programmed, false);
  });

  test('a run with an option, or a wait, that there is not', async () => {
    await using m = await machine();
    m.vcpu(0).program(asm.flat32`${sync('a')}
      ${idle()}`);
    const run = (options: object) => () => m.run(odd(options));
    assert.equal((await refusal(run({ untill: { sync: 'a' } }))).advice, 'Did you mean until?');
    assert.equal((await refusal(run({ timeout: '100ms' }))).argument, 'timeout');
    const waits: Record<string, object | string | null> = {
      'until.count': { port: 0x10, count: 3 },
      'until.port': { sync: 'a', port: 3 },
      'until.exit': { exit: 'KVM_EXIT_HTL' },
      'until.exits': { exits: 0 },
      'until.sync': { sync: null },
      'until.fault': { fault: '#GB' },
      'until.halted': { halted: [] },
      'until.handled': { handled: '#GP' },
      'until.vcpu': { sync: 'a', vcpu: '0' },
      until: { synk: 'a' },
    };
    for (const [argument, until] of Object.entries(waits))
      assert.equal((await refusal(run({ until }))).argument, argument);
    assert.equal((await refusal(run({ until: { synk: 'a' } }))).advice, 'Did you mean sync?');
    assert.equal((await refusal(run({ until: 'Done' }))).advice, 'Did you mean done?');
    for (const until of [{}, null, 5, [], 'over']) assert.equal((await refusal(run({ until }))).argument, 'until');
    assert.equal(m.trace.length, 0);
    await m.run({ until: { sync: 'a' } });
  });

  test('a wait by a function that answers neither true nor false', async () => {
    for (const answer of [undefined, Promise.resolve(true), 1, 'yes', null]) {
      await using m = await machine();
      m.vcpu(0).program(asm.flat32`out 0x10, al
        ${idle()}`);
      const { argument, message } = await refusal(() => m.run({ until: () => odd(answer) }));
      assert.equal(argument, 'until');
      assert.match(message, /^until answered .* for KVM_EXIT_IO, not true or false$/);
    }
  });
});
