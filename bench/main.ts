// C and JavaScript in turns, with guests that run: on a host's /dev/kvm, or in one boot of a lane of the lab.
// And what is no comparison of the two: see bench/figures.
//
//   npm run bench -- [--on host|svm|vmx] [--turns N] [--share S] [--json] [case...]
import { parseArgs } from 'node:util';
import { cases } from './cases/index.ts';
import { chooseCases } from './choose.ts';
import { type Figure, show } from './figures/figure.ts';
import { firstExit } from './figures/first-exit.ts';
import { memory } from './figures/memory.ts';
import { start } from './figures/start.ts';
import { measureAt, missingKvm, type Place, places } from './places.ts';
import { reportOf } from './report.ts';
import { table } from './table.ts';
import type { Measured } from './turns.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    on: { type: 'string', default: 'host' },
    turns: { type: 'string', default: '15' },
    share: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
  },
});
const place = values.on as Place;
if (!places.includes(place)) throw new Error(`--on ${place}: it is one of ${places.join(', ')}`);
const effort = { turns: Number(values.turns), share: Number(values.share) };
const FEW = 5;
const figures: Record<string, () => Figure[] | Promise<Figure[]>> = {
  'first-exit': () => {
    if (place === 'host') throw new Error('first-exit is that of a lane: --on svm, --on vmx');
    return firstExit(place, Math.min(FEW, effort.turns));
  },
  memory: () => memory(effort.share),
  start: () => start(effort.turns),
};
const named = positionals.filter((name) => !(name in figures));
const chosen = chooseCases(named, cases, Object.keys(figures)).map(({ name }) => name);

const missing = place === 'host' && !positionals.every((name) => name === 'start') ? missingKvm() : null;
if (missing) console.log(values.json ? JSON.stringify({ skipped: missing }) : `skipped: ${missing}`);
else {
  // Figures alone are no reason to measure all cases.
  if (named.length > 0 || positionals.length === 0) await measureCases();
  for (const name of positionals.filter((one) => one in figures)) tell(await figures[name]!());
}

async function measureCases(): Promise<void> {
  const done: Measured[] = [];
  await measureAt(place, chosen, effort, (measured) => {
    if (values.json) console.log(JSON.stringify(measured));
    else done.push(measured);
  });
  if (!values.json) console.log(reportOf(done, 'wall', false));
}

function tell(found: readonly Figure[]): void {
  if (values.json) for (const figure of found) console.log(JSON.stringify({ figure }));
  else console.log(table(found.map((one) => [one.what, show(one), one.aim === undefined ? '' : `<= ${one.aim}`])));
}
