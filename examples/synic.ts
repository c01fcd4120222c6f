// Hyper-V's SynIC: the host posts messages into a slot and sets an event flag, the guest takes them in its handlers.
//
// KVM keeps the SynIC's registers and delivers its interrupts. The pages belong to user space: each write of SCONTROL,
// SIMP and SIEFP comes out as KVM_EXIT_HYPERV, and a message is posted by writing to the guest's memory and signalling a
// GSI that is routed to the SINT.

import assert from 'node:assert/strict';
import {
  asm,
  connectSints,
  done,
  enableSynic,
  eoi,
  freeMessage,
  machine,
  messageSlot,
  setSint,
  sync,
  takeEventFlag,
  tell,
} from 'kvm-dsm';

const [MESSAGE_SINT, EVENT_SINT] = [2, 3];
const [MESSAGE_VECTOR, EVENT_VECTOR] = [0x52, 0x53];
const FLAG = 77;

await using m = await machine({ vcpus: 2, apic: 'xapic', synic: 'zero' });

const messages = m.shared;
const events = m.shared + 0x1000;
const slot = messageSlot(messages, MESSAGE_SINT);
const target = m.vcpu(1);
target.program(
  asm.long64`
    ${enableSynic({ messages, events })}
    ${setSint(MESSAGE_SINT, { vector: MESSAGE_VECTOR })}
    ${setSint(EVENT_SINT, { vector: EVENT_VECTOR, autoEoi: true })}
    ${sync('ready')}
    ${done()}
  on_message:
    ${tell('message', `dword [${slot + 16}]`)}
    ${freeMessage(slot)}
    ${eoi()}
    iretq
  on_event:                     ; auto-EOI: it was over when it was delivered
    ${takeEventFlag(events, EVENT_SINT, FLAG)}
    setc al
    movzx eax, al
    ${tell('flag was set', 'eax')}
    iretq`,
  { handlers: { [MESSAGE_VECTOR]: 'on_message', [EVENT_VECTOR]: 'on_event' } },
);

const trace = await m.run({ until: { sync: 'ready' }, deadline: '60s' });
trace.expect([
  { name: 'KVM_EXIT_HYPERV', type: 1, synic: { msr: 0x4000_0083, msgPage: BigInt(messages + 1) } },
  { name: 'KVM_EXIT_HYPERV', type: 1, synic: { msr: 0x4000_0082, evtPage: BigInt(events + 1) } },
  { name: 'KVM_EXIT_HYPERV', type: 1, synic: { msr: 0x4000_0080, control: 1n } },
]);

const [line, eventLine] = connectSints(m.vm, [
  { synic: target.synic, sint: MESSAGE_SINT },
  { synic: target.synic, sint: EVENT_SINT },
]);

// The slot takes one message. The second one finds it busy, which asks the guest for its end-of-message notice.
const payload = (value: number) => Uint8Array.of(value, 0, 0, 0);
assert.equal(line.post({ type: 1, payload: payload(11) }), 'posted');
assert.equal(line.post({ type: 1, payload: payload(22) }), 'busy');
assert.equal(line.acknowledged?.read(), null);

await m.run({ until: (event) => event.word?.kind === 'value', deadline: '60s' });
await Promise.all([
  m.run({ until: (event) => event.word?.kind === 'value', deadline: '60s' }),
  line.deliver({ type: 1, payload: payload(22) }, '60s'),
]);

assert.equal(eventLine.raise(FLAG), 'set');
assert.equal(eventLine.raise(FLAG), 'already');
await m.run({ until: (event) => event.word?.kind === 'value', deadline: '60s' });

trace.expectInOrder([
  { value: 'message', is: 11 },
  { value: 'message', is: 22 },
  { value: 'flag was set', is: 1 },
]);
assert.deepEqual(target.synic.eventFlags(EVENT_SINT), []);
