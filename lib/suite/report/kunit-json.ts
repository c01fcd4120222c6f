/**
 * The report as `kunit.py --json` writes one, which KernelCI's KUnit job reads: groups of test cases with a name and a status.
 *
 * Source: tools/testing/kunit/kunit_json.py of Linux.
 */
import { jsonText } from '../../base/text.ts';
import { subjectOf } from '../check.ts';
import { couldNotEnd, type Result } from '../run/judge.ts';
import { nameOf } from '../run/plan.ts';
import type { CheckRow, Head, Reporter, RowsReporter } from '../run/reporter.ts';
import { type Collected, collectingReporter } from './collected.ts';

/** What every group says of where it ran. */
interface Common {
  arch: string;
  defconfig: string;
  build_environment: string;
  lab_name: string;
  kernel: string;
  job: string;
  git_branch: string;
}

interface Group extends Common {
  name: string;
  sub_groups: Group[];
  test_cases: { name: string; status: string }[];
}

/** One JSON document, at the end: a group per subject. */
export function kunitJsonReporter(write: (text: string) => void): Reporter {
  return collectingReporter((run) => write(`${jsonText(groupOf('kvm-dsm', run), 4)}\n`));
}

/** The same of several rows, with a group per row around those of its subjects. */
export function kunitJsonRows(write: (text: string) => void): RowsReporter {
  const groups: Group[] = [];
  return {
    row: ({ name }) => collectingReporter((run) => groups.push(groupOf(name, run))),
    done() {
      const { name: _, sub_groups: __, test_cases: ___, ...common } = groups[0]!;
      write(`${jsonText({ name: 'kvm-dsm', sub_groups: groups, test_cases: [], ...common }, 4)}\n`);
    },
  };
}

function groupOf(name: string, { head, summary }: Collected): Group {
  const common = commonOf(head);
  const groups = new Map<string, Group>();
  for (const row of summary.results) {
    const subject = subjectOf(row.item.id);
    const group = groups.get(subject) ?? { name: subject, sub_groups: [], test_cases: [], ...common };
    groups.set(subject, group);
    group.test_cases.push(caseOf(row, head));
  }
  // What it did not come to has no case.
  const ended = summary.interrupted === null ? [] : [{ name: 'run: interrupted', status: 'ERROR' }];
  return { name, sub_groups: [...groups.values()], test_cases: ended, ...common };
}

function commonOf({ facts }: Head): Common {
  return {
    arch: 'x86_64',
    defconfig: facts.config?.source ?? '',
    build_environment: facts.build,
    lab_name: facts.on,
    kernel: facts.kernel,
    job: 'kvm-dsm',
    git_branch: facts.profile,
  };
}

const caseOf = ({ item, result }: CheckRow, head: Head) => ({
  name: nameOf(item, head.repeat),
  status: statusOf(result),
});

/** The words of kunit_json.py; a known shortfall is no failure, as in KTAP. */
function statusOf(result: Result): 'PASS' | 'SKIP' | 'ERROR' | 'FAIL' {
  if (result.verdict === 'skip') return 'SKIP';
  if (result.verdict !== 'fail') return 'PASS';
  return couldNotEnd(result) ? 'ERROR' : 'FAIL';
}
