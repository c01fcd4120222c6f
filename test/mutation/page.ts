/** What Stryker found, as a page of the documents. */

/** Of Stryker's report: https://github.com/stryker-mutator/mutation-testing-elements, the schema of its reports. */
export interface Report {
  readonly files: Readonly<
    Record<
      string,
      {
        readonly source: string;
        readonly mutants: readonly {
          readonly mutatorName: string;
          readonly replacement?: string;
          readonly status: string;
          readonly location: { readonly start: Place; readonly end: Place };
        }[];
      }
    >
  >;
}

interface Place {
  readonly line: number;
  readonly column: number;
}

type Mutant = Report['files'][string]['mutants'][number];

const isNoticed = ({ status }: Mutant) => status === 'Killed' || status === 'Timeout';
const isMissed = ({ status }: Mutant) => status === 'Survived' || status === 'NoCoverage';

/** How many of those were noticed that can be told by a test: what does not even load is not counted. */
export function scoreOf(reports: readonly Report[]): { noticed: number; of: number } {
  const all = reports.flatMap(({ files }) => Object.values(files)).flatMap(({ mutants }) => mutants);
  const noticed = all.filter(isNoticed).length;
  return { noticed, of: noticed + all.filter(isMissed).length };
}

export function pageOf(reports: readonly Report[]): string {
  const { noticed, of } = scoreOf(reports);
  const files = reports.flatMap((report) => Object.entries(report.files)).sort(([a], [b]) => (a < b ? -1 : 1));
  const rows = files.map(([file, { mutants }]) => {
    const missed = mutants.filter(isMissed).length;
    const caught = mutants.filter(isNoticed).length;
    return `| \`${file}\` | ${caught} | ${missed} |`;
  });
  const lists = files.flatMap(([file, { source, mutants }]) => {
    const missed = mutants.filter(isMissed);
    if (missed.length === 0) return [];
    const lines = source.split('\n');
    return [`### ${file}`, '', ...missed.map((mutant) => `- ${describe(mutant, lines)}`), ''];
  });
  return [
    '# Mistakes in the code that unit tests notice',
    '',
    '`npm run mutate` writes this page. [Stryker](https://stryker-mutator.io) makes one small mistake at a time in the model of the local APIC (`lib/apic`), in the',
    'numbers and layouts of the ABI (`lib/abi`) and in the decoder of exits (`lib/exit`), and runs the unit tests of that room. What other tests would',
    'notice is not counted.',
    '',
    `Of ${of} mistakes ${noticed} were noticed: ${((100 * noticed) / of).toFixed(1)} %.`,
    '',
    '| file | noticed | not |',
    '|---|---|---|',
    ...rows,
    '',
    '## Those that were not',
    '',
    ...lists,
  ].join('\n');
}

/** `12: \`a < b\` as \`a <= b\``. */
function describe({ location: { start, end }, replacement = '', status }: Mutant, lines: readonly string[]): string {
  const first = lines[start.line - 1] ?? '';
  const was =
    start.line === end.line ? first.slice(start.column - 1, end.column - 1) : `${first.slice(start.column - 1)} ...`;
  const seen = status === 'NoCoverage' ? ', which no test runs' : '';
  return `${start.line}: ${code(was)} as ${code(replacement)}${seen}`;
}

const code = (text: string) => {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  const short = line.length > 60 ? `${line.slice(0, 57)}...` : line;
  return short === '' ? 'nothing' : `\`\` ${short} \`\``;
};
