import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asm, done, emulatesGuests, type Machine, machine, sync } from '../../lib/index.ts';
import { errorOf, noKvm } from '../support/host.ts';

const skip = { skip: noKvm };
/** There KVM emulates many instructions of a 32-bit guest in a row, and lacks `iretd`. */
const needsHardware = { skip: noKvm || (emulatesGuests() && "this host's KVM emulates 32-bit guests") };

/** Sync points, window exits and injections, in order. */
function story({ trace }: Machine): string[] {
  return trace.events.flatMap((event) => {
    if ('exit' in event) {
      if (event.exit.name === 'KVM_EXIT_IRQ_WINDOW_OPEN') return ['window'];
      return event.word?.kind === 'sync' ? [String(event.word.name)] : [];
    }
    return 'ioctl' in event && event.ioctl === 'KVM_INTERRUPT' ? ['given'] : [];
  });
}

test('a vCPU tells when it can take an interrupt', needsHardware, async () => {
  await using m = await machine({ irqchip: 'none' });
  const { vcpu } = m.vcpu(0).program(
    asm.flat32`${sync('closed')}
      sti
      nop
      nop
      ${done()}`,
    { interrupts: false },
  );
  assert.deepEqual([vcpu.ifFlag, vcpu.readyForInterruptInjection], [false, false], 'before the first run');
  await m.run({ until: { sync: 'closed' } });
  assert.deepEqual([vcpu.ifFlag, vcpu.readyForInterruptInjection], [false, false]);
  const error = errorOf(() => vcpu.interrupt(0x63));
  assert.deepEqual([error.code, /IF is 0/.test(error.message)], ['ERR_INTERRUPT_WINDOW', true]);
  assert.match(error.advice, /requestInterruptWindow/);
  vcpu.requestInterruptWindow();
  await m.run({ until: { exit: 'KVM_EXIT_IRQ_WINDOW_OPEN' } });
  assert.deepEqual([vcpu.ifFlag, vcpu.readyForInterruptInjection], [true, true]);
  assert.equal(m.vcpu(0).interrupts.size, 0);
  vcpu.interrupt(0x63);
  assert.match(errorOf(() => vcpu.interrupt(0x64)).message, /0x63 waits already/);
  await m.run({ until: 'done' });
  assert.deepEqual([...m.vcpu(0).interrupts], [[0x63, 1]]);
  vcpu.requestInterruptWindow(false);
  assert.equal(errorOf(() => vcpu.requestInterruptWindow(1 as never)).code, 'ERR_ARGUMENT');
});

test('in the shadow of STI it is refused as well', skip, async () => {
  await using m = await machine({ irqchip: 'none' });
  const { vcpu } = m.vcpu(0).program(asm.flat32`nop
    ${done()}`);
  vcpu.setVcpuEvents({ interrupt: { injected: 0, nr: 0, soft: 0, shadow: 2 }, flags: 4 });
  assert.match(errorOf(() => vcpu.interrupt(0x63)).message, /shadow/);
});

test('the kit waits for the window, and gives what waits in order', needsHardware, async () => {
  for (const vcpus of [1, 2]) {
    await using m = await machine({ irqchip: 'none', vcpus });
    m.vcpu(0).program(
      asm.flat32`${sync('closed')}
        ${sync('still closed')}
        sti
        nop
        nop
        nop
        nop
        ${sync('open')}
        ${done()}
first:  ${sync('first')}
        iretd
second: ${sync('second')}
        iretd`,
      { interrupts: false, handlers: { 99: 'first', 100: 'second' } },
    );
    if (vcpus === 2) m.vcpu(1).program(asm.flat32`${done()}`);
    await m.run({ until: { sync: 'closed' } });
    assert.equal(m.vcpu(0).interrupt(0x63), false);
    assert.equal(m.vcpu(0).interrupt(0x64), false);
    await m.run({ until: { sync: 'open' } });
    const told = story(m).filter((one) => one !== 'window');
    assert.deepEqual(told.slice(0, 5), ['closed', 'still closed', 'given', 'first', 'given'], `${vcpus} vCPUs`);
    assert.deepEqual([told.filter((one) => one === 'second').length, told.at(-1)], [1, 'open']);
  }
});

test('sti; hlt: what waits ends the HLT', needsHardware, async () => {
  for (const vcpus of [1, 2]) {
    await using m = await machine({ irqchip: 'none', vcpus });
    m.vcpu(0).program(
      asm.flat32`${sync('closed')}
        sti
        hlt
        ${sync('woken')}
        ${done()}`,
      { interrupts: false },
    );
    if (vcpus === 2) m.vcpu(1).program(asm.flat32`${done()}`);
    await m.run({ until: { sync: 'closed' } });
    m.vcpu(0).interrupt(0x63);
    await m.run({ until: { sync: 'woken' } });
    assert.deepEqual([...m.vcpu(0).interrupts], [[0x63, 1]]);
  }
});

test('another program forgets what waited', skip, async () => {
  await using m = await machine({ irqchip: 'none' });
  m.vcpu(0).program(
    asm.flat32`${sync('closed')}
    hlt`,
    { interrupts: false },
  );
  await m.run({ until: { sync: 'closed' } });
  m.vcpu(0).interrupt(0x63);
  m.vcpu(0).program(asm.flat32`nop
    nop
    ${done()}`);
  await m.run({ until: 'done' });
  assert.equal(m.vcpu(0).interrupts.size, 0);
});
