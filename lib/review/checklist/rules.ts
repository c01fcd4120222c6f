/** The rules of Documentation/virt/kvm/review-checklist.rst, and how far a machine can see whether a series keeps them. */
import { plural } from '../../base/text.ts';
import { layoutDifferences } from '../look/layouts.ts';
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
import { apiNumbers } from './numbers.ts';

interface Rule {
  /** Its number in Linux 6.12, should the tree have no list. */
  number: string;
  /** What the tree's own words of it contain. */
  words: RegExp;
  rule: string;
  looked: string;
  find(evidence: Evidence): Found;
}

const person = (...seen: string[]): Found => ({ verdict: 'person', seen });
const none = (...seen: string[]): Found => ({ verdict: 'not applicable', seen });

const rules: readonly Rule[] = [
  {
    number: '1',
    words: /coding-style/,
    rule: 'Coding style, and how a patch is sent',
    looked: 'scripts/checkpatch.pl --strict of the tree, on each patch; tags and subjects',
    find({ after, series }) {
      const unsigned = series.patches.filter(({ text }) => !series.isCompared && !/^Signed-off-by: .+@/m.test(text));
      const tags = unsigned.map(({ title }) => `${title}: no Signed-off-by`);
      if (!after?.style)
        return tags.length > 0 ? { verdict: 'broken', seen: tags } : person('checkpatch.pl was not run');
      const told = after.style.filter(({ errors, warnings, checks }) => errors + warnings + checks > 0);
      const seen = told.flatMap(({ patch, errors, warnings, checks, lines }) => [
        `${patch}: ${plural(errors, 'error')}, ${plural(warnings, 'warning')}, ${plural(checks, 'check')}`,
        ...lines,
      ]);
      if (told.length === 0) seen.push(`${after.style.length} patches: no error, no warning, no check`);
      const bad = tags.length > 0 || after.style.some(({ errors, warnings }) => errors + warnings > 0);
      return {
        verdict: bad ? 'broken' : 'kept',
        seen: [...tags, ...seen],
      };
    },
  },
  {
    number: '2',
    words: /against kvm\.git/,
    rule: 'Made against the KVM tree',
    looked: 'how the patches apply to the tree that was given; base-commit',
    find({ series, base, offsets }) {
      const commit = series.patches.map(({ text }) => /^base-commit: (\w+)/m.exec(text)?.[1]).find(Boolean);
      const how = offsets === 0 ? 'without offsets' : `with ${offsets} hunks at other lines`;
      return person(`applied to ${base} ${how}`, commit ? `base-commit: ${commit}` : 'no base-commit is told');
    },
  },
  {
    number: '3',
    words: /userspace API/,
    rule: 'A new user space API is documented in api.rst, and KVM_CHECK_EXTENSION tells of it',
    looked: 'what <linux/kvm.h> gets; Documentation/virt/kvm/api.rst; a capability and its case',
    find(evidence) {
      const api = apiNumbers(addedIn(evidence, /uapi\//));
      if (api.length === 0) return none('nothing is added to the user space API');
      const undocumented = api.filter(({ name }) => !evidence.after?.api.includes(name)).map(({ name }) => name);
      const caps = api.filter(({ kind }) => kind === 'capability').map(({ name }) => name);
      const unanswered = caps.filter(
        (name) => !evidence.added.some(({ text }) => new RegExp(`\\bcase ${name}\\b`).test(text)),
      );
      const seen = [
        ...(undocumented.length > 0 ? [`not in api.rst: ${undocumented.join(', ')}`] : []),
        ...(caps.length === 0 ? ['no KVM_CAP_ is added: user space cannot ask for it'] : []),
        ...unanswered.map((name) => `no code answers KVM_CHECK_EXTENSION for ${name}`),
      ];
      if (seen.length > 0) return { verdict: 'broken', seen };
      return { verdict: 'kept', seen: [`api.rst has all ${api.length} names; ${caps.join(', ')} is answered`] };
    },
  },
  {
    number: '4',
    words: /save\/restore/,
    rule: 'New state can be saved and restored',
    looked: 'members that kvm_host.h gets; the suite: state.*',
    find(evidence) {
      const members = addedIn(evidence, /kvm_host\.h$/).filter(({ text }) => /^\s+[\w\s*]+\b\w+(\[.*\])?;/.test(text));
      const { verdict, seen, worst } = suiteSays(evidence, /^state\./);
      if (members.length === 0) return none('no state is added to a vCPU or a VM', ...seen);
      return { verdict: verdict ?? 'person', seen: [...places(members), ...seen], worst };
    },
  },
  {
    number: '5',
    words: /default to off/,
    rule: 'A new feature is off until user space asks for it',
    looked: 'a VM that asks for nothing, in each lane; the suite: capability.opt-in*',
    find(evidence) {
      const { verdict, seen, worst } = suiteSays(evidence, /opt-in/);
      if (verdict) return { verdict, seen, worst };
      const forced = evidence.runs.filter(({ facts }) => facts?.forwards && !evidence.optIn);
      if (forced.length > 0)
        return {
          verdict: 'broken',
          seen: forced.map(
            ({ lane }) => `${lane}: a VM without any KVM_ENABLE_CAP makes an exit at its first ICR write`,
          ),
          worst: { lane: forced[0]!.lane, check: null },
        };
      return person('what user space asks for was not seen to matter');
    },
  },
  {
    number: '6',
    words: /GET_SUPPORTED_CPUID/,
    rule: 'A new feature of the CPU stands in KVM_GET_SUPPORTED_CPUID',
    looked: 'added lines of cpuid.c, and X86_FEATURE_ words',
    find(evidence) {
      const lines = evidence.added.filter(({ path, text }) => /cpuid\.c$/.test(path) || /\bX86_FEATURE_\w+/.test(text));
      return lines.length === 0 ? none('no feature of the CPU is touched') : person(...places(lines));
    },
  },
  {
    number: '7',
    words: /[Ee]mulator/,
    rule: 'A change of the emulator comes with a test',
    looked: 'added lines of emulate.c; files below tools/testing/selftests/kvm',
    find(evidence) {
      const files = evidence.series.patches.flatMap(({ files }) => files.map(({ path }) => path));
      const tests = files.filter((path) => path.startsWith('tools/testing/selftests/kvm/'));
      const told = tests.length > 0 ? `tests: ${[...new Set(tests)].join(', ')}` : 'no selftest comes with the series';
      const lines = addedIn(evidence, /kvm\/emulate\.c$/);
      return lines.length === 0 ? none('emulate.c is not touched', told) : person(...places(lines), told);
    },
  },
  {
    number: '8',
    words: /vendor neutral/,
    rule: 'Neutral as to the vendor of the CPU',
    looked: 'Kconfig, and the folders vmx/ and svm/; the suite on both lanes',
    find(evidence) {
      const depends = addedIn(evidence, /Kconfig$/).filter(({ text }) => /depends on .*\bKVM_(INTEL|AMD)\b/.test(text));
      const lanes = evidence.runs
        .filter(({ facts }) => facts)
        .map(({ lane, facts }) => `${lane}: ${facts!.forwards ? 'ICR writes come out' : 'nothing comes out'}`);
      if (depends.length > 0) return { verdict: 'broken', seen: [...places(depends), ...lanes] };
      const unlike = differingChecks(evidence);
      const sides = ['vmx', 'svm'].filter((vendor) => addedIn(evidence, new RegExp(`/kvm/${vendor}/`)).length > 0);
      if (sides.length === 1) return person(`only ${sides[0]}/ is changed`, ...lanes, ...unlike);
      return { verdict: 'kept', seen: [...lanes, ...unlike] };
    },
  },
  {
    number: '9',
    words: /arch independent/,
    rule: 'Rather in code of all architectures',
    looked: 'the paths of the patches',
    find({ series }) {
      const paths = [...new Set(series.patches.flatMap(({ files }) => files.map(({ path }) => path)))];
      const x86 = paths.filter((path) => path.startsWith('arch/'));
      return person(`${x86.length} of ${paths.length} files are below arch/`);
    },
  },
  {
    number: '10',
    words: /64-bit clean/,
    rule: 'Interfaces are 64-bit clean: the same for programs of 32 and of 64 bits, with types of a size',
    looked: '<linux/kvm.h> compiled for both, each struct member by member; the types of members that it gets',
    find(evidence) {
      const { after, before } = evidence;
      const members = looseTypes(evidence).length;
      const types = members > 0 ? [`${members} members that are added have no type of a size: uapi.types`] : [];
      const isLoose: Found = { verdict: 'broken', seen: types };
      if (!after) return types.length > 0 ? isLoose : person('the tree was not come to');
      const { layouts } = after;
      const unlike = layoutDifferences(layouts, before?.layouts ?? null);
      const seen = unlike.map(({ name, bits64, bits32 }) => `${name}: ${bits64} for 64 bits, ${bits32} for 32`);
      if (seen.length + types.length > 0) return { verdict: 'broken', seen: [...seen, ...types] };
      if (!layouts.ok) return person(`the header does not compile: ${layouts.error}`);
      return { verdict: 'kept', seen: ['no member of the series differs, and each has a type of a size'] };
    },
  },
  {
    number: '11',
    words: /guest visible/,
    rule: 'What a guest sees of it is documented',
    looked: 'MSRs, CPUID leaves and hypercalls in arch/x86/include; the suite: transparency.*, stock.*',
    find(evidence) {
      const lines = addedIn(evidence, /arch\/x86\/include\/(uapi\/)?asm\/(kvm_para|msr-index|hyperv)/);
      const { verdict, seen, worst } = suiteSays(evidence, /^(transparency|stock)\./);
      if (verdict === 'broken') return { verdict, seen, worst };
      return lines.length === 0
        ? none('nothing is added that a guest could ask for', ...seen)
        : person(...places(lines), ...seen);
    },
  },
  {
    number: '12',
    words: /reset and kexec/,
    rule: 'Robust against reset and kexec of a guest',
    looked: 'the suite: a vCPU that gets INIT, or halts, with an exit left',
    find(evidence) {
      const { verdict, seen, worst } = suiteSays(evidence, /pending\.(init|halted|reset)/);
      return verdict ? { verdict, seen, worst } : person('no check of the suite could say');
    },
  },
];

function differingChecks({ runs }: Evidence): string[] {
  const [first, second] = runs.filter(({ facts }) => facts);
  if (!first || !second) return [];
  const of = new Map(second.checks.map(({ id, verdict }) => [id, verdict]));
  const unlike = first.checks.filter(({ id, verdict }) => {
    const other = of.get(id);
    return other !== undefined && other !== verdict && ![other, verdict].includes('skip');
  });
  if (unlike.length === 0) return ['every check that ran on both says the same'];
  return unlike
    .slice(0, 5)
    .map(({ id, verdict }) => `${id}: ${verdict} on ${first.lane}, ${of.get(id)} on ${second.lane}`);
}

/** The answers in the order of the tree's own list; a rule that we do not know is one for a person. */
export function answerRules(evidence: Evidence): RuleAnswer[] {
  const own = Object.entries(evidence.after?.rules ?? evidence.before?.rules ?? {});
  const listed = own.length > 0 ? own : rules.map(({ number }) => [number, ''] as const);
  return listed.map(([number, text]) => {
    const rule = rules.find((one) => (text === '' ? one.number === number : one.words.test(text)));
    if (!rule)
      return { id: number, rule: text, looked: 'nothing', seen: ['not known here'], verdict: 'person', again: '' };
    return answered(evidence, { id: number, rule: rule.rule, looked: rule.looked }, rule.find(evidence));
  });
}
