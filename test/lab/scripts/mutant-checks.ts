// Checks that do something special under some fault of the lab's kernel.
import { readFileSync, writeFileSync } from 'node:fs';
import { FAULT_PARAMETER } from '../../../lib/suite/faults/fault.ts';

interface Context {
  effect(what: string): void;
  equal<T>(what: string, actual: T, expected: T): void;
}

const source = 'test/lab/scripts/mutant-checks.ts';

function fault(ctx: Context): string {
  ctx.effect('the kernel named its fault');
  return /\[(.*)\]/.exec(readFileSync(FAULT_PARAMETER, 'utf8'))![1]!;
}

export const subjects = [
  {
    name: 'mutant',
    title: 'what a check can meet under a fault',
    checks: [
      {
        id: 'mutant.none',
        claim: 'The kernel has no fault',
        source,
        run: (ctx: Context) => ctx.equal('the fault', fault(ctx), 'none'),
      },
      {
        id: 'mutant.dies',
        claim: 'The kernel stays up',
        source,
        run(ctx: Context) {
          if (fault(ctx) === 'late') writeFileSync('/proc/sysrq-trigger', 'c');
        },
      },
      { id: 'mutant.last', claim: 'The kernel answers', source, run: (ctx: Context) => void fault(ctx) },
    ],
  },
];
