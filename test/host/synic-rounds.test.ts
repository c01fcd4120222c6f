/** Many messages by Hyper-V's SynIC: none is lost, none comes twice, all come in order. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import {
  asm,
  connectSints,
  enableSynic,
  endOfMessage,
  eoi,
  freeMessage,
  guestPorts,
  machine,
  messageSlot,
  type SintLine,
  type Snippet,
  setSint,
  sync,
} from '../../lib/index.ts';
import { scaled } from '../support/counts.ts';
import { lacks } from '../support/guest32.ts';

const skip = lacks('KVM_CAP_HYPERV_SYNIC2');
const COUNT = scaled(100_000);
const SINT = 2;
const VECTOR = 0x52;
const timeout = 1_800_000;
const deadline = '60s';

/**
 * Runs a guest that reads message after message: the n-th one has to have n in its payload and its sender, counted from
 * 0. `end` is how it frees the slot; `use` gets what tells how many it has read.
 */
async function reading(
  { autoEoi, end }: { autoEoi: boolean; end: (slot: number) => Snippet[] },
  use: (line: SintLine, read: () => number) => Promise<void>,
): Promise<void> {
  await using m = await machine({ apic: 'xapic', synic: 'keep' });
  const counter = m.shared + 0x1000;
  const slot = messageSlot(m.shared, SINT);
  m.vcpu(0).program(
    asm.long64`
      ${enableSynic({ messages: m.shared })}
      ${setSint(SINT, { vector: VECTOR, autoEoi })}
      ${sync('ready')}
    .wait:
      hlt
      jmp .wait
    on_message:
      mov eax, [${counter}]
      mov ecx, [${slot + 16}]
      cmp dword [${slot}], 1    ; an interrupt without a message is none of ours
      jne .wrong
      cmp ecx, eax
      jne .wrong
      cmp [${slot + 8}], eax
      jne .wrong
      inc dword [${counter}]
      ${end(slot)}
      iretq
    .wrong:
      out ${guestPorts.assert}, eax
      jmp .wrong`,
    { handlers: { [VECTOR]: 'on_message' } },
  );
  await m.run({ until: { sync: 'ready' }, deadline });
  const { synic, vcpu } = m.vcpu(0);
  const [line] = connectSints(m.vm, [{ synic, sint: SINT }]);
  const view = m.memory.view;
  const exits: string[] = [];
  const run = vcpu.start({
    onExit(exit) {
      const { rax, rcx } = vcpu.getRegs();
      exits.push(`${exit.name}: message ${rcx}, expected ${rax}`);
      run.askToStop();
    },
  });
  try {
    await use(line, () => view.getUint32(counter, true));
  } catch (error) {
    throw new Error(`read ${view.getUint32(counter, true)}; ${exits.join(', ')}`, { cause: error });
  } finally {
    await run.stop();
  }
  assert.deepEqual(exits, []);
  assert.equal(view.getUint32(counter, true), COUNT, 'messages read = messages posted');
  assert.equal(synic.message(SINT), null);
}

const message = (n: number) => ({ type: 1, sender: BigInt(n), payload: new Uint8Array(Uint32Array.of(n).buffer) });

test(`${COUNT} times: post, interrupt, read, EOM, resample`, { skip, timeout }, async () => {
  await reading({ autoEoi: false, end: (slot) => [freeMessage(slot), endOfMessage(), eoi()] }, async (line) => {
    const { synic, acknowledged } = line;
    assert.ok(acknowledged);
    let notices = 0n;
    for (let n = 0; n < COUNT; n++) {
      assert.equal(line.post(message(n)), 'posted', `message ${n}`);
      do notices += await acknowledged.wait(deadline);
      while (synic.message(SINT) !== null);
    }
    // Of each message one for EOM and one for EOI.
    const all = 2n * BigInt(COUNT);
    while (notices < all) notices += await acknowledged.wait(deadline);
    assert.equal(notices, all);
  });
});

test(`${COUNT} times: a message as soon as the slot is free, often behind a busy slot`, { skip, timeout }, async () => {
  await reading(
    // Without EOI: what acknowledges is EOM, where the pending flag asks for it.
    { autoEoi: true, end: (slot) => [freeMessage(slot)] },
    async (line, read) => {
      for (let n = 0; n < COUNT; n++) await line.deliver(message(n), deadline);
      // Nothing waits behind the last one, so that it has no EOM.
      const ends = performance.now() + 60_000;
      while (read() < COUNT && performance.now() < ends) await setImmediate();
    },
  );
});
