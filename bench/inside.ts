// In a machine of the lab: the cases in turns, as lines of JSON. Its argument is that of `InsideWork`.
import { chooseCases } from './choose.ts';
import { Side } from './side.ts';
import { type Effort, takeTurns } from './turns.ts';

export interface InsideWork extends Effort {
  readonly cases: readonly string[];
  /** The commands of the two sides. */
  readonly ours: readonly string[];
  readonly reference: readonly string[];
}

const work = JSON.parse(process.argv[2]!) as InsideWork;
using ours = new Side(work.ours);
using reference = new Side(work.reference);
for (const one of chooseCases(work.cases)) {
  const measured = await takeTurns(one, ours, reference, work);
  if (measured) console.log(JSON.stringify(measured));
}
