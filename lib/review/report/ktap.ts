/** A review as KTAP version 1: how far the series came, the checklist, and the suite's verdicts with it. */
import { isCutShort, type Review, verdictOf } from '../found.ts';

const plain = (text: string) => text.replace(/[#\n\r]/g, ' ').trim();

/** One document: `apply`, `build`, a test for each lane's boot and suite, one for each question. */
export function ktapOf(review: Review): string {
  const { apply, build, child, answers } = review;
  const rows: string[] = [];
  const say = (isOk: boolean, name: string, directive = '') =>
    rows.push(`${isOk ? 'ok' : 'not ok'} ${rows.length + 1} ${plain(name)}${directive}`);
  say(apply === null, 'apply', apply ? ` # ${plain(`${apply.patch}: ${apply.file}: ${apply.reason}`)}` : '');
  if (!apply) say(build === null, 'build', build ? ` # ${plain(build.first)}` : '');
  for (const run of child.runs) {
    const { lane, boot, totals } = run;
    say(boot === null, `boot.${lane}`, boot ? ` # ${plain(boot.reason)}` : '');
    if (boot) continue;
    const bad = totals.fail + totals.xfail;
    say(bad === 0 && !isCutShort(run), `suite.${lane}`, bad > 0 ? ` # ${bad} of ${totals.pass + bad} do not hold` : '');
  }
  for (const { id, rule, verdict } of answers) {
    const name = `checklist.${id} ${rule}`;
    const skip = verdict === 'person' ? 'a person has to look' : 'not applicable';
    if (verdict === 'kept' || verdict === 'broken') say(verdict === 'kept', name);
    else say(true, name, ` # SKIP ${skip}`);
  }
  const head = [
    `KTAP version 1`,
    `# series: ${plain(review.title)}`,
    `# verdict: ${verdictOf(review)}`,
    `1..${rows.length}`,
  ];
  return `${[...head, ...rows].join('\n')}\n`;
}
