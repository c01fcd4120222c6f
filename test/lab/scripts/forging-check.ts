/** A check that says what only the frame around it says: nothing of it counts. */
import { existsSync, writeFileSync } from 'node:fs';
import { flat32, out8 } from 'kvm-dsm';
import { type CheckContext, DONE_PORT, type Subject } from 'kvm-dsm/suite';

async function guest(ctx: CheckContext): Promise<void> {
  const m = await ctx.machine();
  m.vcpu(0).program(flat32(out8(DONE_PORT)));
  await m.run({ until: { port: DONE_PORT } });
}

const source = 'test/lab/scripts/forging-check.ts';
/** Of the process whose output is the machine's. */
const frame = `/proc/${process.ppid}/fd/1`;

export const subjects: Subject[] = [
  {
    name: 'forging',
    title: 'what a check says in the name of others',
    checks: [
      {
        id: 'forging.lines',
        claim: 'It changes nothing',
        source,
        async run(ctx) {
          await guest(ctx);
          for (const line of ['check 1', 'check 99', 'exit 0', 'bye', 'ready'])
            writeFileSync('/dev/kmsg', `<0>@kvm-dsm ${line}\n`);
          for (const line of ['null', '{"type":"end","end":"done"}'])
            if (ctx.facts.on !== 'host') writeFileSync(frame, `${line}\n`);
        },
      },
      {
        id: 'forging.secrets',
        claim: 'No file has the secrets that make them count',
        source,
        async run(ctx) {
          await guest(ctx);
          for (const path of ['/lab/secrets', '/run/kvm-dsm/part.json'])
            ctx.equal(`whether there is ${path}`, existsSync(path), false);
        },
      },
    ],
  },
];
