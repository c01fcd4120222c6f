/** Writes docs/mutants.md, with what `npm run mutants` has recorded last: `npm run docs:mutants`. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defaultProfile } from '../lib/abi/dsm/profiles.ts';
import { faults } from '../lib/suite/faults/table.ts';
import { type Judgement, judgementsOf, leaveOneOut } from '../test/mutants/judge.ts';
import { loadRecord, type MutantRecord } from '../test/mutants/record.ts';
import { closestOf } from '../test/mutants/table.ts';
import { root } from '../test/support/command.ts';

export const mutantsDocument = join(root, 'docs/mutants.md');

/** What stands before the tables, up to and with this line, is written by hand. */
const MARK = '<!-- What follows is made by npm run docs:mutants. -->\n';

/** The lanes and profiles that have a table. */
const places = [
  ['svm', defaultProfile.name],
  ['vmx', defaultProfile.name],
  ['svm', 'fixed-v1'],
] as const;

const code = (id: string) => `\`${id}\``;

function section(record: MutantRecord): string {
  const judgements = judgementsOf(record).filter(({ applies }) => applies);
  const elsewhere = judgementsOf(record).filter(({ applies }) => !applies);
  const checks = Object.keys(record.baseline).length;
  const whole = Object.values(record.faults).every((verdicts) => Object.keys(verdicts).length === checks);
  // Where only some checks were tried it says nothing.
  const only = whole ? [...leaveOneOut(judgements)].toSorted(([a], [b]) => (a < b ? -1 : 1)) : [];
  const caught = judgements.filter((one) => one.caught.length > 0).length;
  const stray = judgements.filter((one) => one.withoutCause.length > 0).length;
  return [
    `## On ${record.on}${record.profile === defaultProfile.name ? '' : `, ${record.profile}`}`,
    '',
    `${extentOf(record)}. ${caught} of ${judgements.length} faults were caught; checks fired`,
    `without cause under ${stray}. ${record.kernel}, kvm-dsm ${record.package}, seed ${record.seed}.`,
    ...elsewhere.map(({ fault }) => `${code(fault)} has no check there: all that it could show in are skipped.`),
    '',
    '| fault | what the kernel does wrong | checks that caught it | without cause |',
    '|---|---|---|---|',
    ...rowsOf(judgements),
    '',
    ...(only.length === 0 ? [] : ['| without this check | nothing catches |', '|---|---|']),
    ...only.map(([id, names]) => `| ${code(id)} | ${names.map(code).join(', ')} |`),
    ...(only.length === 0 ? [] : ['']),
  ].join('\n');
}

/** How many checks were tried. */
function extentOf({ baseline, faults: tried }: MutantRecord): string {
  const counts = Object.values(tried).map((verdicts) => Object.keys(verdicts).length);
  const [all, least, most] = [Object.keys(baseline).length, Math.min(...counts), Math.max(...counts)];
  if (least === all) return `${all} checks under each fault`;
  return `Of ${all} checks ${least === most ? most : `${least} to ${most}`} under each fault`;
}

function rowsOf(judgements: readonly Judgement[]): string[] {
  return judgements.map(({ fault, caught, withoutCause }) => {
    const what = faults.find(({ name }) => name === fault)?.what ?? '';
    const { named, more } = closestOf(judgements, caught);
    const by = [...named.map(code), ...(more > 0 ? [`and ${more} more`] : [])].join(', ');
    return `| ${code(fault)} | ${what} | ${by || '**none**'} | ${withoutCause.map(code).join(', ')} |`;
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const records = places.flatMap(([lane, profile]) => loadRecord(lane, profile) ?? []);
  const page = readFileSync(mutantsDocument, 'utf8');
  const end = page.indexOf(MARK);
  if (end < 0) throw new Error(`${mutantsDocument} has lost its line ${MARK}`);
  writeFileSync(mutantsDocument, `${page.slice(0, end)}${MARK}\n${records.map(section).join('\n')}`);
}
