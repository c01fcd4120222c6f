/** The checklist: what is seen in patches and headers, and what is left to a person. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { findProgram } from '../../../lib/host/programs.ts';
import type { Evidence, RuleAnswer } from '../../../lib/review/checklist/answer.ts';
import { apiNumbers, numberClashes } from '../../../lib/review/checklist/numbers.ts';
import { answerQuestions } from '../../../lib/review/checklist/questions.ts';
import { answerRules } from '../../../lib/review/checklist/rules.ts';
import { headerLayouts, layoutDifferences, movedMembers } from '../../../lib/review/look/layouts.ts';
import { readRules, readStyle, type TreeLook } from '../../../lib/review/look/tree.ts';
import { addedLines } from '../../../lib/review/series/diff.ts';
import { readSeries } from '../../../lib/review/series/series.ts';
import type { SuiteRun } from '../../../lib/review/suite.ts';
import { addedSymbols, isError } from '../../../lib/review/tree/build.ts';
import type { Verdict } from '../../../lib/suite/run/judge.ts';
import { root } from '../../support/command.ts';
import { testFolder } from '../../support/test-folder.ts';

const work = testFolder();

const noCompiler = ['gcc', 'readelf'].every((name) => findProgram(name)) ? false : 'gcc or readelf is missing';

const types = 'typedef unsigned char __u8;\ntypedef unsigned int __u32;\ntypedef unsigned long long __u64;\n';

/** Layouts of a header of one struct. */
function layoutsOf(name: string, text: string) {
  const tree = join(work, name);
  const path = join(tree, 'include/uapi/linux/kvm.h');
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, types + text);
  return headerLayouts(tree, 'linux/kvm.h', ['KVM_SERIES']);
}

describe('layouts', { skip: noCompiler }, () => {
  const old = 'struct kvm_old { __u32 a; __u64 b; };\n';
  const odd = `#ifdef CONFIG_KVM_SERIES
struct kvm_run { __u64 head; union { struct { __u32 id; bool host; __u64 data; } base; char padding[256]; }; };
#endif\n`;

  test('what lies elsewhere for 32 bits is told, member by member; not what did so before', async () => {
    const before = await layoutsOf('before', old);
    const now = await layoutsOf('now', old + odd);
    assert.deepEqual(layoutDifferences(now, before), [], 'at 8 it lies alike for both');
    const differing = layoutDifferences(await layoutsOf('odd', 'struct kvm_x { __u32 id; __u64 data; };\n'), before);
    assert.deepEqual(differing, [
      { name: 'sizeof kvm_x', bits64: 16, bits32: 12 },
      { name: 'kvm_x.data', bits64: 8, bits32: 4 },
    ]);
    assert.equal(layoutDifferences(before, null).length, 2);
  });

  test('what a Kconfig symbol hides is seen', async () => {
    const now = await layoutsOf('hidden', odd);
    assert.ok(now.ok);
    assert.deepEqual([now.bits64['kvm_run.base'], now.bits64['kvm_run.base.data']], [8, 16]);
  });

  test('what has moved is told', async () => {
    const before = await layoutsOf('fixed', 'struct kvm_a { __u32 a; __u32 b; };\n');
    const now = await layoutsOf('moved', 'struct kvm_a { __u32 fresh; __u32 a; __u32 b; };\n');
    assert.deepEqual(
      movedMembers(now, before).map(({ name }) => name),
      ['sizeof kvm_a', 'kvm_a.a', 'kvm_a.b'],
    );
  });

  test('a header that does not compile is told with its error', async () => {
    const now = await layoutsOf('broken', 'struct kvm_a { nonsense a; };\n');
    assert.ok(!now.ok);
    assert.match(now.error, /kvm\.h:\d+:\d+: error: unknown type name/);
  });
});

test('numbers: of headers alone, with those that the tree or another series has', () => {
  const line = (text: string, path = 'include/uapi/linux/kvm.h') => ({ path, text });
  const added = apiNumbers([
    line('#define KVM_EXIT_DAPIC            44'),
    line('#define KVM_CAP_X86_NEW 240 /* words */'),
    line('#define KVM_DSM_IPI\t\t_IOW(KVMIO, 0xf0, struct kvm_dsm_ipi)'),
    line('#define KVM_EXIT_OTHER 7', 'arch/x86/kvm/x86.c'),
  ]);
  assert.deepEqual(added, [
    { name: 'KVM_EXIT_DAPIC', kind: 'exit', number: 44 },
    { name: 'KVM_CAP_X86_NEW', kind: 'capability', number: 240 },
    { name: 'KVM_DSM_IPI', kind: 'ioctl', number: 0xf0 },
  ]);
  const clashes = numberClashes(added, '#define KVM_CAP_OLD 240\n#define KVM_CAP_X86_NEW 240\n');
  assert.deepEqual(
    clashes.map((text) => text.split(':')[0]),
    ['KVM_EXIT_DAPIC 44', 'KVM_CAP_X86_NEW 240', 'KVM_DSM_IPI 0xf0'],
  );
});

test("the tree's own list of rules, checkpatch.pl's lines, compiler errors and new symbols are read", () => {
  assert.deepEqual(readRules('Title\n=====\n\n1.  First\n    goes on\n\n2.  Second:\n    - a\n\n10. Tenth\n'), {
    1: 'First goes on',
    2: 'Second: - a',
    10: 'Tenth',
  });
  const style = readStyle('1/1 a', 'a.patch:54: WARNING:HELP: words\na.patch:6: CHECK:X: more\ntotal: 0 errors\n');
  assert.deepEqual([style.errors, style.warnings, style.checks, style.lines.length], [0, 1, 1, 2]);
  const errors = [
    'a/b.c:12:3: error: no',
    'a.h:1:10: fatal error: x.h: No such file',
    'ld: a.o: undefined reference to `b',
  ];
  assert.deepEqual([...errors, 'a/b.c:12:3: warning: no', 'make[2]: *** [a.o] Error 1'].map(isError), [
    true,
    true,
    true,
    false,
    false,
  ]);
  const kconfig = 'config KVM_A\n\tbool\n\nconfig KVM_B\n\tbool "B"\n\thelp\n\t  x\n';
  assert.deepEqual(addedSymbols('config KVM_A\n\tbool\n', kconfig), ['KVM_B']);
});

const rfc = await readSeries([join(root, 'kernel/mails/rfc-v2.mbox')]);
const fixed = await readSeries([join(root, 'kernel/fixed')]);

const look: TreeLook = {
  style: null,
  headersInstall: null,
  layouts: { ok: true, bits64: {}, bits32: {} },
  rules: {},
  api: '',
  kvmHeader: '',
};

function run(verdicts: Record<string, Verdict>, forwards = true): SuiteRun {
  const checks = Object.entries(verdicts).map(([id, verdict]) => ({
    id,
    claim: 'It is so',
    source: 'SDM',
    verdict,
    reason: verdict === 'pass' ? null : 'it is not',
    detail: '',
    destructive: false,
    cause: null,
  }));
  const totals = { pass: 0, fail: 0, skip: 0, xfail: 0, xpass: 0 };
  for (const { verdict } of checks) totals[verdict] += 1;
  const facts = { forwards, cpu: 'a CPU', kernel: '6.12' } as SuiteRun['facts'];
  return { lane: 'svm', facts, checks, totals, boot: null, error: null, notes: [], ktap: '', seconds: 1 };
}

function evidence(series: typeof rfc, more: Partial<Evidence> = {}): Evidence {
  const added = addedLines(series.patches.flatMap(({ files }) => files));
  const base = { after: look, before: look, runs: [], symbols: [], base: 'a tree', offsets: 0, optIn: false };
  const commands = { again: 'npx kvm-dsm review x --checklist', againOn: () => 'npx kvm-dsm doctor' };
  return { series, added, ...base, ...commands, ...more };
}

const verdicts = (answers: readonly RuleAnswer[]) =>
  Object.fromEntries(answers.map(({ id, verdict }) => [id, verdict]));

describe('the mails of RFC v2', () => {
  const rules = answerRules(
    evidence(rfc, { runs: [run({ 'state.pending.restored': 'xfail', 'transparency.a': 'pass' })] }),
  );
  const of = (id: string) => rules.find((answer) => answer.id === id)!;

  test('break what they break', () => {
    const { 3: api, 4: state, 5: off, 8: vendor } = verdicts(rules);
    assert.deepEqual([api, state, off, vendor], ['broken', 'broken', 'broken', 'broken']);
    assert.match(of('3').seen.join('\n'), /not in api\.rst: .*KVM_EXIT_DSM_SEND_IRQ[\s\S]*no KVM_CAP_ is added/);
    assert.match(of('5').seen.join(), /svm: a VM without any KVM_ENABLE_CAP makes an exit/);
    assert.match(of('8').seen.join(), /Kconfig:\d+: depends on KVM && KVM_INTEL/);
  });

  test('what no machine can judge is left to a person, and what is not touched does not apply', () => {
    const found = verdicts(rules);
    assert.deepEqual([found[2], found[9], found[12]], ['person', 'person', 'person']);
    assert.deepEqual([found[6], found[7], found[11]], ['not applicable', 'not applicable', 'not applicable']);
    assert.match(of('7').seen.join(), /no selftest comes with the series/);
    for (const { looked, seen } of rules) assert.ok(looked !== '' && seen.length > 0);
  });

  test('their header is not for user space', () => {
    const found = answerQuestions(evidence(rfc));
    const {
      'uapi.config': config,
      'uapi.types': type,
      'uapi.numbers': numbers,
      'test.selftest': selftest,
    } = verdicts(found);
    assert.deepEqual([config, type, numbers, selftest], ['broken', 'broken', 'broken', 'broken']);
    const types = found.find(({ id }) => id === 'uapi.types')!.seen.join('\n');
    assert.match(types, /kvm\.h:\d+: bool host;[\s\S]*: int vcpu_id;/);
    // The layouts are alike here: the types break the rule by themselves.
    assert.match(of('10').seen.join('\n'), /5 members that are added have no type of a size/);
    assert.equal(of('10').verdict, 'broken');
  });
});

describe('the corrected series', () => {
  const caps = { after: { ...look, api: fixed.patches.map(({ text }) => text).join('') }, optIn: true };
  const given = evidence(fixed, {
    ...caps,
    runs: [run({ 'capability.opt-in': 'pass', 'state.pending.restored': 'pass' })],
  });

  test('keeps the rules that the first one breaks', () => {
    const found = verdicts(answerRules(given));
    const { 3: api, 4: state, 5: off, 8: vendor, 10: clean } = found;
    assert.deepEqual([api, state, off, vendor, clean], ['kept', 'kept', 'kept', 'kept', 'kept']);
  });

  test('has a header for user space, and a test', () => {
    const found = verdicts(answerQuestions(given));
    assert.deepEqual([found['uapi.config'], found['uapi.types'], found['test.selftest']], ['kept', 'kept', 'kept']);
  });
});

test("a rule that is not known here is one for a person; the numbers are the tree's", () => {
  const rules = {
    1: 'New features must default to off',
    2: 'Patches rhyme',
    3: 'Emulator changes should be accompanied by unit tests for qemu-kvm.git',
  };
  const [first, second, third] = answerRules(evidence(rfc, { after: { ...look, rules } }));
  assert.equal(first!.rule, 'A new feature is off until user space asks for it');
  assert.deepEqual([second!.rule, second!.verdict], ['Patches rhyme', 'person']);
  assert.equal(third!.rule, 'A change of the emulator comes with a test');
});
