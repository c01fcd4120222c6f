/** The writes of two vCPUs. */
import type { Exit } from '../../../exit/exit.ts';
import type { Check } from '../../check.ts';
import { atOnce, isPort } from '../../kit/drive.ts';
import { DONE_PORT, writeInstruction as write } from '../../kit/guests.ts';
import { forwarding } from '../../kit/needs.ts';
import { firstOnes, sameRows } from '../../kit/rows.ts';
import { SLOT } from '../../kit/sources.ts';
import { nth, primedMachine, range, writesIn } from '../../kit/writers.ts';

export const vcpuChecks: Check[] = [
  {
    id: 'order.two-vcpus.turns',
    claim: "Of two vCPUs that are entered by turns, each one's writes come out in its program order",
    source: SLOT,
    needs: [forwarding],
    async run(ctx) {
      const writes = [range(8).map(nth), range(8).map((n) => nth(20 + n))];
      const { drivers } = await primedMachine(
        ctx,
        writes.map((own) => own.map(write)),
      );
      const turns = drivers.map((driver, id) => ({ driver, id, exits: [] as Exit[], over: false }));
      while (turns.some(({ over }) => !over))
        for (const turn of turns.filter(({ over }) => !over)) {
          const exit = turn.driver.next();
          turn.over = isPort(exit, DONE_PORT);
          turn.exits.push(exit);
        }
      for (const { id, exits } of turns) sameRows(`the writes of vCPU ${id}`, firstOnes(writesIn(exits)), writes[id]!);
    },
  },
  {
    id: 'order.two-vcpus.threads',
    claim: "Of two vCPUs that run at once, each one's writes come out in its program order",
    source: SLOT,
    needs: [forwarding],
    deadline: '20s',
    async run(ctx) {
      const writes = [range(16).map(nth), range(16).map((n) => nth(20 + n))];
      const { machine } = await primedMachine(
        ctx,
        writes.map((own) => own.map(write)),
      );
      const exits = await atOnce(ctx, machine, DONE_PORT);
      for (const [id, own] of writes.entries())
        sameRows(`the writes of vCPU ${id}`, firstOnes(writesIn(exits[id]!)), own);
    },
  },
];
