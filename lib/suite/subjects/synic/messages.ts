/** Messages that user space puts into the page. */

import { flat32, read32, store32, write32 } from '../../../guest/bytes.ts';
import type { Check } from '../../check.ts';
import { jmpBack } from '../../kit/code.ts';
import { runUntilDone } from '../../kit/guests.ts';
import { words, writeMsr } from '../../kit/senders.ts';
import { range } from '../../kit/writers.ts';
import { acknowledged, EOM, HYPERV, LONG, linesOf, offered, pause, SIMP, setSint, TLFS } from './guest.ts';

const ROUNDS = 32;

export const messageChecks: Check[] = [
  {
    id: 'synic.message.rounds',
    claim: `${ROUNDS} messages one after the other: each is read once, in order, and has its EOI and its EOM told`,
    source: `${TLFS}: SynIC Message Page; ${HYPERV}: kvm_hv_notify_acked_sint`,
    deadline: LONG,
    needs: [offered],
    async run(ctx) {
      const machine = await ctx.machine({ apic: 'xapic', synic: 'keep' });
      const [page, log, sint] = [machine.shared, machine.shared + 0x1000, 2];
      const slot = page + sint * 0x100;
      const open = [...writeMsr(SIMP, BigInt(page + 1)), ...setSint(sint, { vector: 0x52 })];
      // An interrupt is taken after the port, before the message is read and its slot freed.
      const round = [pause, read32(slot + 16), store32(log), write32(slot, 0), ...writeMsr(EOM, 0n)];
      const length = round.reduce((sum, { length: bytes }) => sum + bytes, 0);
      machine.vcpu(0).program(flat32(...open, ...round, jmpBack(length)));
      await runUntilDone(machine);
      const [line] = linesOf(ctx, machine, [sint]);
      for (const n of range(ROUNDS)) {
        ctx.equal('what became of a message', line!.post({ type: 1, payload: Uint8Array.of(n, 7, 0, 0) }), 'posted');
        ctx.equal('what became of another one', line!.post({ type: 1 }), 'busy');
        await runUntilDone(machine);
        ctx.equal('what the guest read', words(machine, log, 1)[0], 0x700 + n);
        ctx.equal('the acknowledgements', acknowledged(line!), 2);
        ctx.equal('how often the vector came', [...machine.vcpu(0).interrupts], [[0x52, n + 1]]);
      }
    },
  },
];
