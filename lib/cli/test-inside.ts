import { readFileSync } from 'node:fs';
import { Kvm } from '../kvm/kvm.ts';
import { marker } from '../lab/disk/init.ts';
import { loadSubjects } from '../runner/suite-checks.ts';
import { checksById } from '../suite/check.ts';
import type { Facts } from '../suite/run/facts.ts';
import { judge } from '../suite/run/judge.ts';
import { checkOf } from '../suite/run/plan.ts';
import type { Item, Outcome } from '../suite/run/protocol.ts';
import type { RunEnd } from '../suite/run/supervisor.ts';
import { type PartOptions, testHere } from './test-here.ts';

/** The word in the kernel's log, behind the lab's marker, that names the check which begins. */
export const CHECK_MARK = 'check';

/** What a machine of the lab is given to do. */
export interface InsidePart extends PartOptions {
  items: Item[];
  strict: boolean;
  bail: boolean;
}

/** What it tells, as lines of JSON on its standard output. */
export type InsideEvent =
  | { type: 'facts'; facts: Facts }
  | { type: 'outcome'; n: number; outcome: Outcome; ms: number; exits: number }
  | { type: 'note'; text: string }
  | { type: 'end'; end: RunEnd };

/** Runs a part of the suite inside a machine of the lab. Returns the exit code: 0 if it has told how it ended. */
export async function testInside(partFile: string): Promise<number> {
  const part = JSON.parse(readFileSync(partFile, 'utf8')) as InsidePart;
  const tell = (event: InsideEvent) => process.stdout.write(`${JSON.stringify(event)}\n`);
  Kvm.open(part.device).close();
  const checks = checksById(await loadSubjects(part.module));
  const end = await testHere(part.items, checks, part, `${marker} ${CHECK_MARK}`, {
    facts: (facts) => tell({ type: 'facts', facts }),
    start() {}, // the kernel's log tells
    outcome(item, outcome, ms, exits) {
      tell({ type: 'outcome', n: item.n, outcome, ms, exits });
      return !(part.bail && judge(checkOf(checks, item), outcome, part.strict).verdict === 'fail');
    },
    note: (text) => tell({ type: 'note', text }),
  });
  tell({ type: 'end', end });
  return 0;
}
