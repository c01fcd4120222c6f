/** The reporters against parsers that are not ours, and the grammar of the kernel's Documentation/dev-tools/ktap.rst. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { DOMParser, type Element } from '@xmldom/xmldom';
import { Ajv } from 'ajv';
import formats from 'ajv-formats';
import { Parser } from 'tap-parser';
import { type Check, checksById } from '../../../lib/suite/check.ts';
import type { ReporterName, ReportOptions } from '../../../lib/suite/report/index.ts';
import { reporterNamed, rowsReporterNamed } from '../../../lib/suite/report/index.ts';
import { type Facts, unknownFacts } from '../../../lib/suite/run/facts.ts';
import { planOf } from '../../../lib/suite/run/plan.ts';
import type { Executor, Outcome } from '../../../lib/suite/run/protocol.ts';
import { runPlan } from '../../../lib/suite/run/run.ts';

const facts: Facts = {
  on: 'host',
  kernel: '6.12.0-test',
  build: '#1 SMP',
  config: { source: '/proc/config.gz', lines: ['CONFIG_KVM=y'] },
  cpu: 'GenuineIntel, "Fast" <CPU> & more',
  cpus: 2,
  parameters: { 'kvm_intel.enable_apicv': 'N' },
  module: 'kvm_intel',
  device: '/dev/kvm',
  profile: 'rfc-v2',
  forwards: true,
  injects: { ipi: false, x2apic: false, base: false },
  x2apic: true,
  failedProbes: {},
};

const unknown = unknownFacts('svm', '/dev/kvm', 'rfc-v2');

/** What a report says of it: a control character is shown. */
const told = () => hostile.replace('\u0001', '\\x01');
const hostile = '<&"\'# not ok 9 # SKIP \\ ]]> \u0001 \ud800 1..3 %';
const shortfall = { reason: `known # ${hostile}`, source: 'abi.md' };

/** What each check comes to: every verdict, every cause. */
const outcomes: Record<string, [Outcome, Partial<Check>?]> = {
  'one.pass': [{ kind: 'pass' }],
  'one.skip': [{ kind: 'skip', reason: hostile }],
  'one.xfail': [{ kind: 'fail', cause: 'claim', reason: 'lost', detail: 'more' }, { shortfall }],
  'one.xpass': [{ kind: 'pass' }, { shortfall }],
  'two.claim': [{ kind: 'fail', cause: 'claim', reason: hostile, detail: `first\n1..9\nok 1 - fake\n${told()}\n---` }],
  'two.deadline': [{ kind: 'fail', cause: 'deadline', reason: 'late', detail: '' }],
  'two.crash': [{ kind: 'fail', cause: 'crash', reason: 'SIGABRT', detail: '' }],
  'three.skip': [{ kind: 'skip', reason: 'nothing here' }],
};

const source = 'SDM vol. 3 <11.6.1>';
const names = [...new Set(Object.keys(outcomes).map((id) => id.split('.')[0]!))];
const subjects = names.map((name) => ({
  name,
  title: name,
  checks: Object.entries(outcomes)
    .filter(([id]) => id.startsWith(`${name}.`))
    .map(([id, [, more]]) => ({ id, claim: `Claim of ${id}`, source, run() {}, ...more })),
}));

const executor: Executor = async (items, sink) => {
  sink.note(`a note\nnot ok 3 - of two lines ${hostile}`);
  sink.facts(facts);
  for (const item of items) {
    sink.start(item);
    sink.outcome(item, outcomes[item.id]![0], 1234, 2);
  }
  return null;
};

async function report(
  name: ReporterName,
  shuffle = false,
  repeat = 1,
  pattern?: string,
  options: ReportOptions = {},
  quiet = false,
): Promise<string> {
  let text = '';
  const write = (more: string) => {
    text += more;
  };
  const items = planOf(subjects, { patterns: pattern === undefined ? [] : [pattern], repeat, shuffle, seed: 11 });
  const reporter = await reporterNamed(name, { write, paint: (_colour, words) => words, columns: 0, quiet }, options);
  const checks = checksById(subjects);
  const modes = { seed: 11, repeat, shuffle, strict: false, bail: false };
  await runPlan({ items, checks, ...modes, executor, reporter, unknown, package: '1.2.3' });
  return text;
}

const rowNames = [
  { name: 'default', cmdline: '' },
  { name: 'no-ept', cmdline: 'kvm_intel.ept=0' },
];

/** A report of a run that a signal ends when some checks have ended, or none; and with rows, the second of them. */
async function cutReport(name: ReporterName, ended: number, rows?: number): Promise<string> {
  let text = '';
  const write = (more: string) => {
    text += more;
  };
  const screen = { write, paint: (_colour: string, words: string) => words, columns: 0 };
  const modes = { seed: 11, repeat: 1, shuffle: false, strict: false, bail: false };
  const items = planOf(subjects, { patterns: [], ...modes });
  const abort = new AbortController();
  const cut: Executor = async (dealt, sink) => {
    if (ended > 0) sink.facts(facts);
    for (const item of dealt.slice(0, ended)) sink.outcome(item, outcomes[item.id]![0], 1234, 2);
    abort.abort(new Error(`interrupted by SIGINT while running ${hostile}`));
    throw new Error('the machine is gone');
  };
  const common = { items, checks: checksById(subjects), ...modes, unknown, package: '1.2.3', signal: abort.signal };
  if (rows === undefined) {
    await runPlan({ ...common, executor: cut, reporter: await reporterNamed(name, screen) });
    return text;
  }
  const reporter = await rowsReporterNamed(name, screen, rows);
  const summaries = [];
  for (const [row, one] of [executor, cut].entries()) {
    const variant = rowNames[row]!;
    summaries.push(await runPlan({ ...common, executor: one, variant, reporter: reporter.row(variant) }));
  }
  reporter.done(summaries);
  return text;
}

describe('a run that a signal ends', () => {
  const why = /interrupted by SIGINT while running .*: (\d) of 8 checks had a result/;

  for (const [what, ended, rows] of [
    ['before the first check', 0],
    ['in the midst of a subject', 6],
    ['in the second of three rows', 2, 3],
  ] as const) {
    for (const name of ['tap', 'ktap'] as const)
      test(`${name}, ${what}: a plan, what has ended, and a bail out that a parser takes`, async () => {
        const text = await cutReport(name, ended, rows);
        const parser = new Parser({ strict: true });
        parser.end(text.replace(/^ *KTAP version 1\n/gm, ''));
        assert.match(String(parser.results!.bailout), why);
        assert.equal(why.exec(text)![1], `${ended}`);
        assert.match(text.trimEnd().split('\n').at(-1)!, /^Bail out! /);
        const points = text
          .split('\n')
          .filter((line) => /^ *(not )?ok \d+ (- )?(default: |no-ept: )?(one|two|three)\./.test(line));
        assert.equal(points.length, ended + (rows ? 8 : 0));
      });

    test(`JUnit, ${what}: an error of its own`, async () => {
      const document = new DOMParser().parseFromString(await cutReport('junit', ended, rows), 'text/xml');
      const errors = [...document.getElementsByTagName('error')];
      const [error, ...more] = errors.filter((one) => one.getAttribute('type') === 'interrupted');
      assert.match(error!.getAttribute('message')!, why);
      assert.deepEqual(more, []);
      const { documentElement } = document;
      assertJenkins(documentElement!);
      assert.equal(documentElement!.getAttribute('errors'), `${errors.length}`);
      assert.equal(documentElement!.getAttribute('tests'), `${document.getElementsByTagName('testcase').length}`);
    });

    test(`JSON, ${what}: one document that says so`, async () => {
      const { interrupted, totals, variants } = JSON.parse(await cutReport('json', ended, rows));
      assert.match(interrupted.why, /^interrupted by SIGINT/);
      assert.equal(interrupted.notRun, 8 - ended);
      const counted = Object.values(totals as Record<string, number>).reduce((sum, count) => sum + count, 0);
      assert.equal(counted, ended + (rows ? 8 : 0));
      if (rows) assert.deepEqual([variants.length, variants[0].interrupted], [2, null]);
    });

    test(`KCIDB and kunit-json, ${what}: an error of the whole run`, async () => {
      const { tests } = JSON.parse(await cutReport('kcidb', ended, rows));
      const whole = tests.filter(({ path }: { path: string }) => path === 'kvm_dsm');
      assert.deepEqual(
        whole.map(({ status }: { status: string }) => status),
        ['ERROR'],
      );
      assert.match(whole[0].log_excerpt, why);
      assert.match(await cutReport('kunit-json', ended, rows), /"name": "run: interrupted",\s*"status": "ERROR"/);
    });

    test(`for a person, ${what}: totals and one line`, async () => {
      const text = await cutReport('spec', ended, rows);
      assert.match(text, why);
      assert.match(text, /^\d pass, \d fail, /m);
      assert.doesNotMatch(text, /not run/);
    });
  }
});

test('--quiet: the checks that failed, and the totals', async () => {
  const whole = await report('spec');
  const text = await report('spec', false, 1, undefined, {}, true);
  assert.match(text, /^note: a note\n.*\nfailed\n {2}two\.claim\n {4}claim: Claim of two\.claim/);
  assert.doesNotMatch(text, /one\.|kvm-dsm 1\.2\.3|time:|slowest/);
  assert.match(text, /\n1 pass, 3 fail, 2 skip, 1 xfail, 1 xpass\nagain: [^\n]+\n$/);
  const failures = (from: string) => /^failed\n.*?\n\n/ms.exec(from.slice(from.indexOf('failed\n')))![0];
  assert.equal(failures(text), failures(whole), 'a failure is told as ever');
});

/** A report of two rows, both with every outcome. */
async function rowsReport(name: ReporterName, pattern?: string): Promise<string> {
  let text = '';
  const write = (more: string) => {
    text += more;
  };
  const screen = { write, paint: (_colour: string, words: string) => words, columns: 0 };
  const rows = await rowsReporterNamed(name, screen, rowNames.length);
  const modes = { seed: 11, repeat: 1, shuffle: false, strict: false, bail: false };
  const items = planOf(subjects, { patterns: pattern === undefined ? [] : [pattern], ...modes });
  const common = { items, checks: checksById(subjects), ...modes, executor, unknown, package: '1.2.3' };
  const summaries = [];
  for (const variant of rowNames) summaries.push(await runPlan({ ...common, variant, reporter: rows.row(variant) }));
  rows.done(summaries);
  return text;
}

describe('a report of several variants', () => {
  for (const name of ['tap', 'tap14'] as const)
    test(`${name}: one list of points, each with its row's name`, async () => {
      const names: string[] = [];
      const extra: string[] = [];
      const parser = new Parser({ strict: true });
      parser.on('assert', (point) => names.push(point.name));
      parser.on('extra', (line) => extra.push(line));
      parser.end(await rowsReport(name));
      assert.deepEqual(extra, []);
      assert.equal(parser.results!.plan.end, 16);
      assert.deepEqual(
        names,
        rowNames.flatMap((row) => Object.keys(outcomes).map((id) => `${row.name}: ${id}`)),
      );
    });

  test('KTAP: a test per row, with its subjects below it, and one line of totals at the end', async () => {
    const text = await rowsReport('ktap');
    const points = readKtap(text);
    assert.deepEqual(
      points.map(({ name, ok, children }) => [name, ok, children.map((child) => child.name)]),
      rowNames.map((row) => [row.name, false, names]),
    );
    assert.ok(text.endsWith('\n# Totals: pass:2 fail:4 xfail:2 xpass:2 skip:4 error:2\n'), text.slice(-120));
    const passing = readKtap(await rowsReport('ktap', 'one.pass'));
    assert.deepEqual(
      passing.map(({ ok }) => ok),
      [true, true],
    );
    const skipped = readKtap(await rowsReport('ktap', 'three.skip'));
    assert.deepEqual(
      skipped.map(({ directive }) => directive),
      ['SKIP', 'SKIP'],
    );
  });

  test('JUnit: a test suite per row and subject', async () => {
    const document = new DOMParser().parseFromString(await rowsReport('junit'), 'text/xml');
    const suites = [...document.getElementsByTagName('testsuite')].map((suite) => suite.getAttribute('name'));
    assert.deepEqual(
      suites,
      rowNames.flatMap((row) => names.map((subject) => `${row.name}.${subject}`)),
    );
    assert.equal(document.documentElement!.getAttribute('tests'), '16');
    const [first] = document.getElementsByTagName('testcase');
    assert.equal(first!.getAttribute('classname'), 'kvm-dsm.default.one');
  });

  test('JSON: `variants` has what the document of each has, and `totals` counts all', async () => {
    const { version, on, profile, variants, totals } = JSON.parse(await rowsReport('json'));
    assert.deepEqual([version, on, profile], [1, 'host', 'rfc-v2']);
    assert.deepEqual(
      variants.map((row: { name: string; cmdline: string }) => [row.name, row.cmdline]),
      rowNames.map((row) => [row.name, row.cmdline]),
    );
    const alone = JSON.parse(await report('json'));
    for (const row of variants) {
      assert.deepEqual(row.checks, alone.checks);
      assert.deepEqual(row.totals, alone.totals);
    }
    assert.deepEqual(totals, { pass: 2, fail: 6, skip: 4, xfail: 2, xpass: 2 });
  });

  test('for a person: a section per row, which says what the kernel was told, and a table', async () => {
    const text = await rowsReport('spec');
    assert.match(text, /^=== default ===$/m);
    assert.match(text, /^=== no-ept \(kvm_intel\.ept=0\) ===$/m);
    assert.match(text, /^again: kvm-dsm test two\.claim --on host --variant no-ept --seed 11$/m);
    const table = text
      .slice(text.lastIndexOf('\nvariant') + 1)
      .trimEnd()
      .split('\n');
    assert.deepEqual(
      table.map((line) => line.split(/\s+/)),
      [
        ['variant', 'pass', 'fail', 'skip', 'xfail', 'xpass'],
        ['default', '1', '3', '2', '1', '1'],
        ['no-ept', '1', '3', '2', '1', '1'],
      ],
    );
  });
});

for (const [name, said] of [
  ['tap', 13],
  ['tap14', 14],
] as const)
  test(`TAP ${said} by tap-parser, strictly`, async () => {
    const text = await report(name);
    const parser = new Parser({ strict: true });
    const points: {
      id: number;
      name: string;
      ok: boolean;
      skip?: unknown;
      todo?: unknown;
      diag?: Record<string, unknown>;
    }[] = [];
    const extra: string[] = [];
    let version: unknown;
    parser.on('assert', (point) => points.push(point));
    parser.on('extra', (line) => extra.push(line));
    parser.on('version', (value) => {
      version = value;
    });
    parser.end(text);
    const { results } = parser;
    assert.deepEqual(extra, [], 'every line is TAP');
    assert.equal(version, said);
    assert.deepEqual(
      results?.failures.map(({ name }) => name),
      ['two.claim', 'two.deadline', 'two.crash'],
    );
    const { plan, count, fail, skip, todo } = results!;
    assert.deepEqual([plan.end, count, fail, skip, todo], [8, 8, 4, 2, 2], 'a TODO that is not ok counts as not ok');
    assert.deepEqual(
      points.map(({ id, name }) => [id, name]),
      Object.keys(outcomes).map((id, i) => [i + 1, id]),
    );
    assert.equal(points[0]!.ok, true);
    assert.equal(points[1]!.skip, told());
    assert.equal(points[2]!.todo, true);
    assert.match(String(points[2]!.diag?.message), /^known/);
    assert.equal(points[4]!.diag?.detail, `first\n1..9\nok 1 - fake\n${told()}\n---`);
  });

const noProve = spawnSync('prove', ['--version']).status !== 0 && 'there is no `prove` here';

test('TAP by prove: it passes what passes, and counts what fails, without an error of its own', {
  skip: noProve,
}, async () => {
  const prove = async (only?: string) => {
    const dir = mkdtempSync(join(tmpdir(), 'kvm-dsm-tap-'));
    const file = join(dir, 'report.tap');
    writeFileSync(file, await report('tap', false, 1, only));
    const { status, stdout, stderr } = spawnSync('prove', ['-e', 'cat', file], { encoding: 'utf8' });
    rmSync(dir, { recursive: true });
    assert.doesNotMatch(stdout + stderr, /Parse errors/);
    return { status, words: stdout };
  };
  const passing = await prove('one');
  assert.match(passing.words, /^Result: PASS$/m);
  assert.equal(passing.status, 0);
  const all = await prove();
  assert.match(all.words, /Failed 3\/8 subtests/);
  assert.match(all.words, /^ {2}Failed tests: {2}5-7$/m);
  assert.equal(all.status, 1);
});

interface Point {
  ok: boolean;
  name: string;
  directive: string | null;
  children: Point[];
}

/** Reads KTAP as ktap.rst has it, and refuses every other line. */
function readKtap(text: string): Point[] {
  const lines = text.trimEnd().split('\n');
  let at = 0;
  const level = (indent: string): Point[] => {
    assert.equal(lines[at++], `${indent}KTAP version 1`);
    let plan: number | null = null;
    let children: Point[] = [];
    const points: Point[] = [];
    while (at < lines.length) {
      const line = lines[at]!;
      if (line === `${indent}  KTAP version 1`) {
        children = level(`${indent}  `);
        continue;
      }
      if (!line.startsWith(indent)) break;
      const rest = line.slice(indent.length);
      at += 1;
      if (rest.startsWith('# ')) continue;
      const planned = /^1\.\.(\d+)$/.exec(rest);
      if (planned) {
        assert.equal(plan, null, 'one plan');
        plan = Number(planned[1]);
        continue;
      }
      const result = /^(ok|not ok) (\d+) (?:- )?([^#]+?)(?: # (SKIP|TODO|XFAIL|TIMEOUT|ERROR)(?: [^#]*)?)?$/.exec(rest);
      assert.ok(result, `no line of KTAP: ${line}`);
      assert.equal(Number(result[2]), points.length + 1, 'numbers are in order');
      points.push({ ok: result[1] === 'ok', name: result[3]!, directive: result[4] ?? null, children });
      children = [];
      if (points.length === plan) {
        // What follows belongs to the level above, but for comments.
        if (indent !== '') return points;
      }
    }
    assert.equal(points.length, plan, 'as many results as planned');
    return points;
  };
  const points = level('');
  assert.equal(at, lines.length);
  return points;
}

describe('KTAP 1', () => {
  for (const [what, shuffle, repeat] of [
    ['in order', false, 1],
    ['shuffled and repeated', true, 3],
  ] as const) {
    test(`keeps to the grammar, ${what}`, async () => {
      const text = await report('ktap', shuffle, repeat);
      const points = readKtap(text);
      assert.deepEqual(points.map(({ name }) => name).toSorted(), names.toSorted());
      const one = points.find(({ name }) => name === 'one')!;
      const two = points.find(({ name }) => name === 'two')!;
      const three = points.find(({ name }) => name === 'three')!;
      assert.deepEqual([one.ok, two.ok, three.ok, three.directive], [true, false, true, 'SKIP']);
      const directives = [one, two].flatMap(({ children }) => children.map(({ name, directive }) => [name, directive]));
      for (const [id, wanted] of Object.entries({
        'one.pass': null,
        'one.skip': 'SKIP',
        'one.xfail': 'XFAIL',
        'one.xpass': null,
        'two.claim': null,
        'two.deadline': 'TIMEOUT',
        'two.crash': 'ERROR',
      })) {
        const found = directives.filter(([name]) => name === id || name?.startsWith(`${id} (`));
        assert.deepEqual(
          found.map(([, directive]) => directive),
          Array(repeat).fill(wanted),
          id,
        );
      }
      const n = repeat;
      const totals = `# Totals: pass:${n} fail:${2 * n} xfail:${n} xpass:${n} skip:${2 * n} error:${n}\n`;
      assert.ok(text.endsWith(totals), text.slice(-120));
    });
  }

  test('a TAP parser agrees on the subjects', async () => {
    const parser = new Parser();
    parser.end(await report('ktap'));
    const { plan, count, pass, fail, skip } = parser.results!;
    assert.deepEqual([plan.end, count, pass, fail, skip], [3, 3, 2, 1, 1]);
  });
});

/** What an element may have, in this order, and its attributes. Source: the schema of Jenkins' xunit plugin, jenkins-junit.xsd */
const jenkins: Record<string, { inside: string[]; attributes: string[] }> = {
  testsuites: { inside: ['testsuite'], attributes: ['name', 'time', 'tests', 'failures', 'disabled', 'errors'] },
  testsuite: {
    inside: ['testsuite', 'properties', 'testcase', 'system-out', 'system-err'],
    attributes: [
      ...['name', 'tests', 'failures', 'errors', 'group', 'time', 'skipped', 'timestamp', 'hostname', 'id', 'package'],
      ...['file', 'log', 'url', 'version'],
    ],
  },
  properties: { inside: ['property'], attributes: [] },
  property: { inside: [], attributes: ['name', 'value'] },
  testcase: {
    inside: ['skipped', 'error', 'failure', 'rerunFailure', 'flakyFailure', 'system-out', 'system-err'],
    attributes: ['name', 'time', 'classname', 'group'],
  },
  skipped: { inside: [], attributes: ['message', 'type'] },
  error: { inside: [], attributes: ['message', 'type'] },
  failure: { inside: [], attributes: ['message', 'type'] },
  'system-out': { inside: [], attributes: [] },
};

function assertJenkins(element: Element): void {
  const known = jenkins[element.tagName];
  assert.ok(known, element.tagName);
  for (const { name } of element.attributes) assert.ok(known.attributes.includes(name), `${element.tagName} ${name}`);
  for (const child of element.childNodes) {
    if (child.nodeType !== child.ELEMENT_NODE) continue;
    const { tagName } = child as Element;
    assert.ok(known.inside.includes(tagName), `${tagName} in ${element.tagName}`);
    assertJenkins(child as Element);
  }
}

test('KTAP of checks that end before their turn, as those do that are spared: each subject is whole', async () => {
  const early: Executor = async (items, sink) => {
    sink.facts(facts);
    // The next one begins before the outcome of the one before it has come.
    for (const item of [...items.slice(5, 6), ...items.slice(0, 5), ...items.slice(6)]) {
      for (const next of items.slice(item.n, item.n + 2)) sink.start(next);
      sink.outcome(item, outcomes[item.id]![0], 1, 1);
    }
    return null;
  };
  let text = '';
  const write = (more: string) => {
    text += more;
  };
  const reporter = await reporterNamed('ktap', { write, paint: (_colour, words) => words, columns: 0 });
  const items = planOf(subjects, { patterns: [], repeat: 1, shuffle: false, seed: 1 });
  const modes = { seed: 1, repeat: 1, shuffle: false, strict: false, bail: false };
  await runPlan({ items, checks: checksById(subjects), ...modes, executor: early, reporter, unknown, package: '1' });
  const points = readKtap(text);
  assert.deepEqual(
    points.map(({ name, children }) => [name, children.length]),
    [
      ['one', 4],
      ['two', 3],
      ['three', 1],
    ],
  );
});

test('KTAP comes check by check: each stands there when it has ended, below the header of its subject', async () => {
  const parts: string[] = [];
  const reporter = await reporterNamed('ktap', {
    write: (text) => void parts.push(text),
    paint: (_colour, words) => words,
    columns: 0,
  });
  /** What had been written when each check ended. */
  const then: string[] = [];
  const noting = {
    ...reporter,
    end(...args: Parameters<typeof reporter.end>) {
      reporter.end(...args);
      then.push(parts.join(''));
    },
  };
  const items = planOf(subjects, { patterns: [], repeat: 1, shuffle: false, seed: 1 });
  const modes = { seed: 1, repeat: 1, shuffle: false, strict: false, bail: false };
  await runPlan({ items, checks: checksById(subjects), ...modes, executor, reporter: noting, unknown, package: '1' });
  assert.match(then[0]!, /\n {2}KTAP version 1\n {2}# Subtest: one\n {2}1\.\.4\n {2}ok 1 one\.pass\n$/);
  assert.match(then[1]!, /\n {2}ok 2 one\.skip # SKIP\n$/);
  assert.match(
    then[2]!,
    /\n {2}# xfail: known .*\n {2}# claim: .*\n {2}# lost\n {2}# more\n {2}ok 3 one\.xfail # XFAIL\n$/,
  );
  assert.match(then[3]!, /\n {2}ok 4 one\.xpass\nok 1 one\n$/);
});

test('JUnit XML by an XML parser', async () => {
  const errors: string[] = [];
  const onError = (_level: string, message: string) => errors.push(message);
  const document = new DOMParser({ onError }).parseFromString(await report('junit'), 'text/xml');
  assert.deepEqual(errors, []);
  const root = document.documentElement!;
  assert.equal(root.tagName, 'testsuites');
  assert.deepEqual(
    ['tests', 'failures', 'errors', 'skipped'].map((name) => root.getAttribute(name)),
    ['8', '2', '1', null],
  );
  assertJenkins(root);
  const cases = [...root.getElementsByTagName('testcase')];
  assert.deepEqual(
    cases.map((one) => one.getAttribute('name')),
    Object.keys(outcomes),
  );
  assert.equal(cases[0]!.getAttribute('classname'), 'kvm-dsm.one');
  assert.equal(cases[0]!.getAttribute('time'), '1.234');
  const failure = cases[4]!.getElementsByTagName('failure')[0]!;
  const legal = told().replace('\ud800', '?');
  assert.equal(failure.getAttribute('message'), legal);
  assert.ok(failure.textContent!.includes(`ok 1 - fake\n${legal}`));
  assert.match(cases[2]!.getElementsByTagName('skipped')[0]!.getAttribute('message')!, /^xfail: known/);
  const suites = [...root.getElementsByTagName('testsuite')];
  assert.deepEqual(
    suites.map((suite) => ['tests', 'failures', 'errors', 'skipped'].map((name) => Number(suite.getAttribute(name)))),
    [
      [4, 0, 0, 2],
      [3, 2, 1, 0],
      [1, 0, 0, 1],
    ],
  );
  for (const suite of suites) assert.match(suite.getAttribute('timestamp')!, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$/);
  assert.equal(cases[6]!.getElementsByTagName('error')[0]!.getAttribute('type'), 'crash');
  const [notes] = suites.at(-1)!.getElementsByTagName('system-out');
  assert.match(notes!.textContent!, /^a note\n/);
});

describe('KCIDB', () => {
  const schema = JSON.parse(readFileSync(new URL('schemas/kcidb-5.3.json', import.meta.url), 'utf8'));
  const ajv = new Ajv({ strict: false, allErrors: true });
  formats.default(ajv);
  const validate = ajv.compile(schema);
  const read = (text: string) => {
    const document = JSON.parse(text);
    const fits: boolean = validate(document);
    assert.ok(fits, JSON.stringify(validate.errors));
    return document;
  };

  test('its schema takes the report, in which each verdict has its status', async () => {
    const { version, checkouts, builds, tests } = read(await report('kcidb'));
    assert.deepEqual(version, { major: 5, minor: 3 });
    assert.deepEqual(
      tests.map(({ path, status }: { path: string; status: string }) => [path, status]),
      [
        ['kvm_dsm.one.pass', 'PASS'],
        ['kvm_dsm.one.skip', 'SKIP'],
        ['kvm_dsm.one.xfail', 'PASS'],
        ['kvm_dsm.one.xpass', 'PASS'],
        ['kvm_dsm.two.claim', 'FAIL'],
        ['kvm_dsm.two.deadline', 'FAIL'],
        ['kvm_dsm.two.crash', 'ERROR'],
        ['kvm_dsm.three.skip', 'SKIP'],
      ],
    );
    assert.deepEqual(
      tests.map(({ misc }: { misc: { verdict: string } }) => misc.verdict),
      ['pass', 'skip', 'xfail', 'xpass', 'fail', 'fail', 'fail', 'skip'],
    );
    assert.equal(new Set(tests.map(({ id }: { id: string }) => id)).size, 8);
    assert.ok(tests.every(({ build_id }: { build_id: string }) => build_id === builds[0].id));
    assert.equal(builds[0].checkout_id, checkouts[0].id);
    assert.equal(tests[4].log_excerpt.includes('ok 1 - fake'), true);
    assert.equal(tests[0].duration, 1.234);
  });

  test('a build that is named is not described again, and its origin is that of the tests', async () => {
    const { checkouts, builds, tests } = read(await report('kcidb', false, 2, undefined, { build: 'lab_1:b7' }));
    assert.deepEqual([checkouts, builds], [undefined, undefined]);
    assert.equal(tests.length, 16);
    assert.deepEqual([tests[0].build_id, tests[0].origin, tests[15].misc.round], ['lab_1:b7', 'lab_1', 2]);
  });

  test('rows are told apart by their environment', async () => {
    const { tests } = read(await rowsReport('kcidb'));
    const comments = tests.map(({ environment }: { environment: { comment: string } }) => environment.comment);
    assert.deepEqual([...new Set(comments)], ['host, default', 'host, no-ept (kvm_intel.ept=0)']);
  });
});

describe("kunit.py's JSON", () => {
  const cases = (group: { test_cases: { status: string }[]; sub_groups: never[] }): string[] => [
    ...group.test_cases.map(({ status }) => status),
    ...group.sub_groups.flatMap(cases),
  ];

  test('a group per subject, with the status words of kunit_json.py', async () => {
    const document = JSON.parse(await report('kunit-json'));
    assert.deepEqual(
      document.sub_groups.map(({ name }: { name: string }) => name),
      names,
    );
    assert.deepEqual(document.sub_groups[0].test_cases[1], { name: 'one.skip', status: 'SKIP' });
    assert.deepEqual(cases(document), ['PASS', 'SKIP', 'PASS', 'PASS', 'FAIL', 'FAIL', 'ERROR', 'SKIP']);
    const keys = ['arch', 'defconfig', 'build_environment', 'lab_name', 'kernel', 'job', 'git_branch'];
    for (const group of [document, ...document.sub_groups])
      for (const key of keys) assert.equal(typeof group[key], 'string');
  });

  test('rows are groups around those', async () => {
    const document = JSON.parse(await rowsReport('kunit-json'));
    assert.deepEqual(
      document.sub_groups.map(({ name }: { name: string }) => name),
      ['default', 'no-ept'],
    );
    assert.equal(cases(document).length, 16);
  });
});

test('JSON has the fields of the contract in their order', async () => {
  const document = JSON.parse(await report('json'));
  assert.deepEqual(Object.keys(document).slice(0, 6), ['version', 'on', 'kernel', 'profile', 'checks', 'totals']);
  assert.deepEqual(Object.keys(document.checks[0]), ['id', 'claim', 'source', 'verdict', 'reason', 'ms']);
  assert.deepEqual(document.totals, { pass: 1, fail: 3, skip: 2, xfail: 1, xpass: 1 });
  assert.equal(document.head.package, '1.2.3');
});

test('the report for a person: heartbeat without a terminal, a status line on one', async () => {
  let text = '';
  const write = (more: string) => {
    text += more;
  };
  const paint = (colour: string, words: string) => `<${colour}>${words}</>`;
  const items = planOf(subjects, { patterns: ['one.pass'], repeat: 1, shuffle: false, seed: 1 });
  const head = {
    facts,
    package: '1',
    seed: 1,
    repeat: 1,
    shuffle: false,
    strict: false,
    items,
    checks: checksById(subjects),
  };
  const pipe = await reporterNamed('spec', { write, paint, columns: 0 });
  pipe.head(head);
  text = '';
  pipe.start(items[0]!);
  for (let second = 1; second <= 21; second++) pipe.tick(items[0]!, second);
  assert.equal(text, '  ... one.pass runs for 10 s\n  ... one.pass runs for 20 s\n');
  const terminal = await reporterNamed('spec', { write, paint, columns: 20 });
  terminal.head(head);
  text = '';
  terminal.start(items[0]!);
  terminal.tick(items[0]!, 3);
  terminal.end(items[0]!, { verdict: 'pass', reason: null, detail: '', cause: null, ms: 5, exits: 1 });
  assert.ok(text.includes('\r\x1b[K<dim>[1/1] one.pass 3 s</>\r\x1b[K'), JSON.stringify(text));
  assert.ok(text.includes('<green>pass </> one.pass'));
});
