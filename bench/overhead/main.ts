// User space's own share of an exit: C and JavaScript in turns, with KVM_RUN answered by a shim.
//
//   node --import tsx bench/overhead/main.ts [--turns N] [--share S] [--call-ns N] [--counts calls|instructions] [--json] [case...]
import { parseArgs } from 'node:util';
import { cases } from '../cases/index.ts';
import { chooseCases } from '../choose.ts';
import { countNames, countsOf, isCountName, missingTool } from '../counts.ts';
import { missingKvm } from '../places.ts';
import { reportOf } from '../report.ts';
import { Side } from '../side.ts';
import { table } from '../table.ts';
import { type Measured, takeTurns } from '../turns.ts';
import { shimmedSides } from './sides.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    turns: { type: 'string', default: '15' },
    share: { type: 'string', default: '1' },
    'call-ns': { type: 'string', default: '1200' },
    counts: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
const note =
  'KVM_RUN is not run here: it is an almost empty system call of ' +
  `${values['call-ns']} ns with an exit that was prepared, as are the ioctls that a case times. This serves for cost alone.`;
console.log(values.json ? JSON.stringify({ note }) : note);

const chosen = chooseCases(
  positionals,
  cases.filter((one) => one.needs !== 'guest'),
);
const effort = { turns: Number(values.turns), share: Number(values.share) };

// The VM and its other ioctls are real.
const missing = missingKvm();
if (missing) console.log(values.json ? JSON.stringify({ skipped: missing }) : `skipped: ${missing}`);
else if (values.counts !== undefined) count(values.counts);
else await measure();

async function measure(): Promise<void> {
  using sides = shimmedSides(Number(values['call-ns']));
  using ours = new Side(sides.ours.command, sides.ours.environment);
  using reference = new Side(sides.reference.command, sides.reference.environment);
  const done: Measured[] = [];
  for (const one of chosen) {
    const measured = await takeTurns(one, ours, reference, effort);
    if (!measured) continue;
    if (values.json) console.log(JSON.stringify(measured));
    else done.push(measured);
  }
  if (!values.json) console.log(reportOf(done, 'cpu'));
}

/** The call takes no time here: an instruction that waits for its end would be counted. */
function count(name: string): void {
  if (!isCountName(name)) throw new Error(`--counts ${name}: it is one of ${countNames.join(', ')}`);
  const why = missingTool(name);
  if (why) {
    console.log(values.json ? JSON.stringify({ skipped: why }) : `skipped: ${why}`);
    return;
  }
  // What the compiler does is then the same in each run.
  using sides = shimmedSides(0, ['--single-threaded']);
  const rows = [[`${name} of one`, 'C', 'JavaScript']];
  for (const one of chosen) {
    const times = Math.max(4, Math.round(one.count * effort.share));
    const c = countsOf(name, sides.reference, one.name, times);
    const js = countsOf(name, sides.ours, one.name, times);
    if (values.json) console.log(JSON.stringify({ name: one.name, unit: one.unit, counted: name, c, js }));
    rows.push([`${one.name} (${one.unit})`, ...[c, js].map((value) => value.toFixed(name === 'calls' ? 2 : 0))]);
  }
  if (!values.json) console.log(table(rows));
}
