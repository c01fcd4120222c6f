import { setImmediate } from 'node:timers/promises';
import { type Instruction, out8 } from '../../../guest/bytes.ts';
import type { VcpuRun } from '../../../kvm/vcpu/vcpu.ts';
import { type Check, subject } from '../../check.ts';
import { CheckError } from '../../errors.ts';
import type { CheckContext } from '../../kit/context.ts';
import { forwarding } from '../../kit/needs.ts';
import { HOOK, SLOT } from '../../kit/sources.ts';
import { Ledger, OTHER_PORT, pairs } from './guest.ts';

/** Pairs of writes of each guest; with `--thorough` as many as the number in ICR2 has values of. */
const THOROUGH_TIMES = 40;

interface LongRun {
  vcpus: number;
  pairs: number;
  kicks?: boolean;
  between?: readonly Instruction[];
}

/** A guest may have written everything before the first kick finds it: so often it writes anew. */
const KICKED_ROUNDS = 10;

/**
 * Runs guests that write on threads of their own, whose exits are recorded, and gives how many kicks met one of them in the
 * guest. Throws CheckError if a write is not told once.
 */
async function writeLong(ctx: CheckContext, { vcpus, pairs: few, kicks, between = [] }: LongRun): Promise<number> {
  const count =
    ctx.facts.on === 'vmx' && !ctx.thorough ? Math.ceil(few / 8) : few * (ctx.thorough ? THOROUGH_TIMES : 1);
  const machine = await ctx.machine({ apic: 'xapic', vcpus });
  const ledgers = machine.vcpus.map(({ id }) => new Ledger(id, count * 2));
  const runs = machine.vcpus.map((one) => {
    one.program(pairs(count, between));
    const ledger = ledgers[one.id]!;
    return one.vcpu.start({
      profile: ctx.profile,
      record: {
        exits: ['KVM_EXIT_DSM_SEND_IRQ', ...(between.length > 0 ? (['KVM_EXIT_IO'] as const) : [])],
        unionBytes: 16,
        onRecords(batch) {
          for (let i = 0; i < batch.length; i++) ledger.see(batch.exit(i));
        },
      },
      onExit(exit, self) {
        if (exit.name === 'KVM_EXIT_IO' && exit.direction === 'in') self.askToStop();
        else ledger.see(exit);
      },
    });
  });
  const ended = Promise.all(runs.map((one) => one.ended({ deadline: ctx.thorough ? '1000s' : '50s' })));
  try {
    if (kicks) await Promise.race([ended, kickOften(runs)]);
    await ended;
  } finally {
    await Promise.all(runs.map((one) => one.stop()));
  }
  ctx.effect('writes', vcpus * count * 2);
  const wrong = ledgers.flatMap((ledger) => ledger.wrong());
  if (wrong.length > 0) throw new CheckError(wrong.join('\n'));
  const due = between.length * count;
  for (const { others } of ledgers) ctx.equal('the exits of the port between the writes', others, due);
  return runs.reduce((sum, { counters }) => sum + counters.kicks, 0);
}

async function writeKicked(ctx: CheckContext, run: LongRun): Promise<void> {
  for (let round = 0; round < KICKED_ROUNDS; round++) if ((await writeLong(ctx, run)) > 0) return;
  ctx.skip(`in ${KICKED_ROUNDS} rounds no kick met a vCPU in the guest`);
}

async function kickOften(runs: readonly VcpuRun[]): Promise<void> {
  for (let running = runs; running.length > 0; running = running.filter(({ alive }) => alive)) {
    for (const run of running) void run.kick();
    await setImmediate();
  }
}

function longCheck(name: string, what: string, run: LongRun): Check {
  return {
    id: `long.${name}`,
    claim: `Each of thousands of writes of ICR2 and ICR comes out once, in order and with its payload, ${what}`,
    source: `${HOOK}; ${SLOT}`,
    deadline: '60s',
    needs: [forwarding],
    run: async (ctx) => void (await (run.kicks ? writeKicked(ctx, run) : writeLong(ctx, run))),
  };
}

export const long = subject('long', 'nothing is lost among thousands of writes', [
  longCheck('one', 'by one vCPU', { vcpus: 1, pairs: 5000 }),
  longCheck('several', 'by three vCPUs at once', { vcpus: 3, pairs: 1000 }),
  longCheck('kicks', 'by a vCPU that is kicked all the time', { vcpus: 1, pairs: 1500, kicks: true }),
  longCheck('exits', 'with another exit after each pair', { vcpus: 1, pairs: 1500, between: [out8(OTHER_PORT)] }),
]);
