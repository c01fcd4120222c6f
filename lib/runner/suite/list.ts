import { plural } from '../../base/text.ts';
import { type Check, checksById, type Subject, shortfallOf } from '../../suite/check.ts';
import { select } from '../../suite/run/plan.ts';
import { print } from '../../target/output.ts';
import { paint } from '../../target/paint.ts';
import { noSuchCheck } from './no-such-check.ts';

/** `kvm-dsm test --list`: prints the checks that some pattern means, and returns the exit code. */
export function listChecks(
  subjects: readonly Subject[],
  patterns: readonly string[],
  profile: string,
  json: boolean,
): number {
  const chosen = new Set(select([...checksById(subjects).keys()], patterns));
  if (chosen.size === 0) throw noSuchCheck(patterns);
  const groups = subjects
    .map(({ name, title, checks }) => ({ name, title, checks: checks.filter(({ id }) => chosen.has(id)) }))
    .filter(({ checks }) => checks.length > 0);
  if (json) {
    const rows = groups.flatMap(({ checks }) => checks.map((check) => row(check, profile)));
    print(`${JSON.stringify({ version: 1, checks: rows }, null, 2)}\n`);
    return 0;
  }
  const lines = groups.flatMap(({ name, title, checks }) => [
    `${paint('bold', name)}: ${title}`,
    ...checks.flatMap(({ id, claim, source }) => [`  ${id}`, `    ${claim} ${paint('dim', `(${source})`)}`]),
  ]);
  print(`${lines.join('\n')}\n${plural(chosen.size, 'check')}\n`);
  return 0;
}

function row(check: Check, profile: string) {
  const { id, claim, source, needs = [] } = check;
  const shortfall = shortfallOf(check, profile)?.reason ?? null;
  return { id, claim, source, needs: needs.map(({ name }) => name), shortfall };
}
