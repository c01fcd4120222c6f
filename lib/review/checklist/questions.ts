/** What a maintainer asks beside the checklist: of the header for user space, of tests, of the host. */
import { movedMembers } from '../look/layouts.ts';
import {
  addedIn,
  answered,
  type Evidence,
  type Found,
  looseTypes,
  places,
  type RuleAnswer,
  suiteSays,
} from './answer.ts';
import { apiNumbers, numberClashes } from './numbers.ts';

interface Question {
  id: string;
  rule: string;
  looked: string;
  find(evidence: Evidence): Found;
}

const kept = (...seen: string[]): Found => ({ verdict: 'kept', seen });
const uapi = /(^|\/)uapi\//;

const questions: readonly Question[] = [
  {
    id: 'uapi.config',
    rule: 'A header for user space asks for no Kconfig symbol, which no program has',
    looked: 'added lines of include/uapi',
    find(evidence) {
      const lines = addedIn(evidence, uapi).filter(({ text }) => /^\s*#.*\bCONFIG_\w+/.test(text));
      return lines.length === 0 ? kept('none does') : { verdict: 'broken', seen: places(lines) };
    },
  },
  {
    id: 'uapi.types',
    rule: 'A header for user space has __u32 and its like: no bool, int, long or size_t',
    looked: 'added lines of include/uapi',
    find(evidence) {
      const lines = looseTypes(evidence);
      return lines.length === 0 ? kept('none other') : { verdict: 'broken', seen: places(lines) };
    },
  },
  {
    id: 'uapi.headers',
    rule: '`make headers_install` works',
    looked: "the tree's scripts/headers_install.sh on <linux/kvm.h>",
    find({ after }) {
      if (!after) return { verdict: 'person', seen: ['the tree was not come to'] };
      if (after.headersInstall === null) return kept('it does');
      return { verdict: 'broken', seen: after.headersInstall.split('\n').slice(0, 4) };
    },
  },
  {
    id: 'uapi.moved',
    rule: 'What programs use already stays where it is',
    looked: '<linux/kvm.h> compiled before and after, each struct member by member',
    find({ after, before }) {
      if (!after || !before) return { verdict: 'person', seen: ['one of the two trees was not come to'] };
      const moved = movedMembers(after.layouts, before.layouts);
      if (moved.length === 0) return kept('nothing has moved');
      return { verdict: 'broken', seen: moved.map(({ name, bits64, bits32 }) => `${name}: ${bits64}, was ${bits32}`) };
    },
  },
  {
    id: 'uapi.numbers',
    rule: 'The numbers of exits, capabilities and ioctls are free',
    looked: "the header's own, and a list of what other series have asked for (lib/review/checklist/claims.ts)",
    find(evidence) {
      const added = apiNumbers(addedIn(evidence, uapi));
      if (added.length === 0) return { verdict: 'not applicable', seen: ['no number is added'] };
      const clashes = numberClashes(added, evidence.after?.kvmHeader ?? '');
      return clashes.length === 0
        ? kept(`${added.length} numbers, none known to be taken`)
        : { verdict: 'broken', seen: clashes };
    },
  },
  {
    id: 'test.selftest',
    rule: 'A test in the tree shows what the series does',
    looked: 'files below tools/testing/selftests/kvm',
    find({ series }) {
      const paths = series.patches.flatMap(({ files }) => files.map(({ path }) => path));
      const tests = [...new Set(paths.filter((path) => /^tools\/testing\/selftests\/kvm\/.*\.c$/.test(path)))];
      return tests.length > 0 ? kept(...tests) : { verdict: 'broken', seen: ['the series has none'] };
    },
  },
  {
    id: 'host.survives',
    rule: 'User space cannot take the host down',
    looked: 'the suite: checks that may crash the kernel, and what else ended with its report',
    find(evidence) {
      const { verdict, seen, worst } = suiteSays(evidence, /\.crash\./);
      const reports = evidence.runs.flatMap(({ lane, notes }) =>
        notes.filter((text) => /BUG|WARN|[Oo]ops|panic/.test(text)).map((text) => `${lane}: ${text}`),
      );
      if (verdict === 'broken') return { verdict, seen, worst };
      if (verdict === null) return { verdict: 'person', seen: ['no check of the suite could say', ...reports] };
      return reports.length > 0 ? { verdict: 'broken', seen: reports } : kept(...seen);
    },
  },
];

/** The answers to all of them. */
export function answerQuestions(evidence: Evidence): RuleAnswer[] {
  return questions.map(({ id, rule, looked, find }) => {
    return answered(evidence, { id, rule, looked }, find(evidence));
  });
}
