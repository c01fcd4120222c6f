import { readFileSync, rmSync } from 'node:fs';
import { Kvm } from '../../kvm/kvm.ts';
import { marker } from '../../lab/disk/init.ts';
import { checksById } from '../../suite/check.ts';
import { recordingOf } from '../../suite/run/check-kernel.ts';
import { judge } from '../../suite/run/judge.ts';
import { checkOf } from '../../suite/run/plan.ts';
import { print } from '../../target/output.ts';
import { profileFor } from '../../target/profile.ts';
import { writeLaneEvent } from './lane-events.ts';
import { runItemsLocally } from './local.ts';
import { CHECK_MARK, type LaneEvent, type LanePart } from './protocol.ts';
import { loadSubjects } from './subjects.ts';

/** Runs a part of the suite inside a machine of the lab. Returns the exit code: 0 if it has told how it ended. */
export async function runPartInside(partFile: string): Promise<number> {
  const given = JSON.parse(readFileSync(partFile, 'utf8')) as LanePart;
  // The secrets are for this process and for the workers that run a check, and for no check.
  rmSync(partFile);
  const tell = (event: LaneEvent) => print(writeLaneEvent(given.secret, event));
  Kvm.open(given.device).close();
  // What does not go is told here, where it ends the run.
  if (given.traced && given.traced.kernelEvents.length > 0) recordingOf(given.traced).close();
  const { name: profile } = profileFor(given, (text) => tell({ type: 'note', text }));
  const part = { ...given, profile };
  const checks = checksById(await loadSubjects(given.module));
  const end = await runItemsLocally(part.items, checks, part, `${marker} ${CHECK_MARK}`, {
    facts: (facts) => tell({ type: 'facts', facts }),
    start() {}, // the kernel's log tells
    outcome(item, outcome, ms, exits, seen) {
      tell({ type: 'outcome', n: item.n, outcome, ms, exits, ...(seen === undefined ? {} : { seen }) });
      return !(part.bail && judge(checkOf(checks, item), outcome, part).verdict === 'fail');
    },
    note: (text) => tell({ type: 'note', text }),
  });
  tell({ type: 'end', end });
  return 0;
}
