/** Checks that end in every way there is, for the tests of the frame. */
import { writeFileSync } from 'node:fs';
import { flat32, machine, out8, spin, UnsupportedError } from 'kvm-dsm';
import { type CheckContext, DONE_PORT as DONE, type Need, type Subject } from 'kvm-dsm/suite';

async function runGuest(ctx: CheckContext): Promise<void> {
  const m = await ctx.machine();
  m.vcpu(0).program(flat32(out8(DONE)));
  await m.run({ until: { port: DONE } });
}

const lab: Need = {
  name: 'a machine of the lab',
  missing: ({ facts }) => (facts.on === 'host' ? 'it takes the kernel down' : null),
};

const never: Need = { name: 'the moon', missing: () => 'the moon is not here' };

const source = 'test/cli/scripts/checks.ts';

export const subjects: Subject[] = [
  {
    name: 'plain',
    title: 'what a check can come to',
    checks: [
      { id: 'plain.passes', claim: 'A guest leaves', source, run: runGuest },
      {
        id: 'plain.fails',
        claim: 'One is two',
        source,
        async run(ctx) {
          await runGuest(ctx);
          ctx.equal('the number <&"#\\', 1, 2);
        },
      },
      {
        id: 'plain.expectation',
        claim: 'A guest makes two exits',
        source,
        async run(ctx) {
          const m = await ctx.machine();
          m.vcpu(0).program(flat32(out8(DONE)));
          const trace = await m.run({ until: { port: DONE } });
          trace.expect([{ name: 'KVM_EXIT_IO', port: DONE }, { name: 'KVM_EXIT_IO' }]);
        },
      },
      {
        id: 'plain.throws',
        claim: 'Nothing is wrong',
        source,
        run: () => Promise.reject(new TypeError('a fault of the check')),
      },
      {
        id: 'plain.skips',
        claim: 'There is nothing to say',
        source,
        run: (ctx) => ctx.skip('no wish to say anything'),
      },
      { id: 'plain.needs', claim: 'The moon shines', source, needs: [never], run: runGuest },
      {
        id: 'plain.unsupported',
        claim: 'A capability is there',
        source,
        run() {
          throw new UnsupportedError('KVM_CAP_MOON', 'The moon');
        },
      },
      {
        id: 'plain.xfails',
        claim: 'One is two',
        source,
        shortfall: { reason: 'arithmetic', source: 'Peano', cause: /the number is 1, expected 2/ },
        async run(ctx) {
          await runGuest(ctx);
          ctx.equal('the number', 1, 2);
        },
      },
      {
        id: 'plain.xfails-otherwise',
        claim: 'One is two',
        source,
        shortfall: { reason: 'arithmetic', source: 'Peano', cause: /another cause/ },
        async run(ctx) {
          await runGuest(ctx);
          ctx.equal('the number', 1, 2);
        },
      },
      {
        id: 'plain.xpasses',
        claim: 'One is one',
        source,
        shortfall: { reason: 'arithmetic', source: 'Peano' },
        run: runGuest,
      },
      { id: 'plain.nothing', claim: 'All is well', source, run() {} },
      {
        id: 'plain.idle-machine',
        claim: 'All is well',
        source,
        async run(ctx) {
          await runGuest(ctx);
          await ctx.machine();
        },
      },
      {
        id: 'plain.no-effect',
        claim: 'All is well',
        source,
        run(ctx) {
          ctx.effect('interrupts taken', 0);
        },
      },
      {
        id: 'plain.effect',
        claim: 'A guest ran that a trace does not know',
        source,
        run(ctx) {
          ctx.effect('interrupts taken', 3);
        },
      },
      {
        id: 'plain.random',
        claim: 'This fails with a number that the seed decides',
        source,
        run: (ctx) => ctx.fail(`drew ${ctx.random.integer(0, 1e9)}`),
      },
      {
        id: 'plain.deadline-guest',
        claim: 'A guest that spins comes to an end',
        source,
        deadline: '300ms',
        async run(ctx) {
          const m = await ctx.machine();
          m.vcpu(0).program(flat32(spin));
          await m.run({ until: { port: DONE } });
        },
      },
      {
        id: 'plain.leaves-machine',
        claim: 'A machine that is not of the context counts for nothing',
        source,
        async run() {
          await using m = await machine();
          m.vcpu(0).program(flat32(out8(DONE)));
          await m.run({ until: { port: DONE } });
        },
      },
    ],
  },
  {
    name: 'rough',
    title: 'what a check can do to its process',
    checks: [
      { id: 'rough.first', claim: 'A guest leaves', source, run: runGuest },
      { id: 'rough.never', claim: 'It ends', source, deadline: '300ms', run: () => new Promise(() => {}) },
      { id: 'rough.behind-never', claim: 'A guest leaves', source, run: runGuest },
      {
        id: 'rough.aborts',
        claim: 'The process stays',
        source,
        run() {
          console.error('last words');
          process.abort();
        },
      },
      { id: 'rough.exits', claim: 'The process stays', source, run: () => process.exit(0) },
      {
        id: 'rough.strays',
        claim: 'No error goes astray',
        source,
        async run(ctx) {
          setImmediate(() => {
            throw new Error('astray');
          });
          await new Promise((resolve) => setTimeout(resolve, 1000));
          await runGuest(ctx);
        },
      },
      { id: 'rough.last', claim: 'A guest leaves', source, run: runGuest },
    ],
  },
  {
    name: 'stuck',
    title: 'what never gives the processor back',
    checks: [
      {
        id: 'stuck.loops',
        claim: 'It ends',
        source,
        deadline: '200ms',
        run() {
          for (;;);
        },
      },
      { id: 'stuck.behind', claim: 'A guest leaves', source, run: runGuest },
    ],
  },
  {
    name: 'kernel',
    title: 'what a check can do to the kernel',
    checks: [
      { id: 'kernel.first', claim: 'A guest leaves', source, run: runGuest },
      {
        id: 'kernel.oopses',
        claim: 'The kernel is sound',
        source,
        deadline: '120s',
        needs: [lab],
        async run(ctx) {
          await runGuest(ctx);
          await import('../../lab/scripts/kernel-bug.ts');
        },
      },
      { id: 'kernel.behind-oops', claim: 'A guest leaves', source, run: runGuest },
      {
        id: 'kernel.panics',
        claim: 'The kernel stays',
        source,
        needs: [lab],
        run() {
          writeFileSync('/proc/sysrq-trigger', 'c');
        },
      },
      { id: 'kernel.last', claim: 'A guest leaves', source, run: runGuest },
    ],
  },
];
