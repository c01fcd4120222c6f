/** What checks have reached of a program's lines: gcov's own counters, read, added up and told. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { deflateRawSync } from 'node:zlib';
import { CoverageFolder } from '../../../lib/runner/coverage/folder.ts';
import { linesOfCounters } from '../../../lib/runner/coverage/gcov.ts';
import { rangesOfLines, rangesText } from '../../../lib/runner/coverage/line-set.ts';
import { CoverageRecord } from '../../../lib/runner/coverage/record.ts';
import { readWorkerEvent } from '../../../lib/suite/run/events.ts';
import { LineCounters } from '../../../lib/suite/run/line-counters.ts';
import type { Executor, Item, KernelTold, Sink } from '../../../lib/suite/run/protocol.ts';
import { compilerMissing } from '../../support/lab.ts';

const SOURCE = `
int positive(int x)
{
	if (x > 0)
		return 1;
	return 0;
}
int never(void)
{
	return 7;
}
int main(int argc, char **argv)
{
	return positive(argc - 2);
}
`;
const FILE = 'arch/x86/kvm/lapic';

test('lines that stand together are one range', () => {
  assert.deepEqual(rangesOfLines([7, 3, 4, 5, 9]), [
    [3, 5],
    [7, 7],
    [9, 9],
  ]);
  assert.equal(rangesText(rangesOfLines([7, 3, 4, 5])), '3-5, 7');
});

test('what a process tells of the kernel is checked: counters are texts', () => {
  const event = (seen: unknown) =>
    readWorkerEvent(JSON.stringify({ type: 'outcome', n: 1, outcome: { kind: 'pass' }, ms: 1, exits: 1, seen }));
  assert.deepEqual(event({ met: [1], counters: { a: 'b' } }), {
    type: 'outcome',
    n: 1,
    outcome: { kind: 'pass' },
    ms: 1,
    exits: 1,
    seen: { met: [1], counters: { a: 'b' } },
  });
  for (const wrong of [{ counters: { a: 1 } }, { counters: [] }, { met: ['x'] }, 1]) assert.equal(event(wrong), null);
});

describe('with a program that counts', { skip: compilerMissing() }, () => {
  let work: string;
  let kernel: string;
  let notes: string;
  /** What a run of the program with so many arguments counts. */
  const countersOf: Record<number, NonNullable<KernelTold['counters']>> = {};

  before(() => {
    work = mkdtempSync(join(tmpdir(), 'kvm-dsm-coverage-'));
    kernel = join(work, 'bzImage');
    notes = join(work, 'coverage');
    const build = join(work, 'build');
    mkdirSync(join(build, 'arch/x86/kvm'), { recursive: true });
    mkdirSync(join(notes, 'arch/x86/kvm'), { recursive: true });
    writeFileSync(join(build, `${FILE}.c`), SOURCE);
    const run = (program: string, ...args: string[]) => {
      const { status, stderr } = spawnSync(program, args, { cwd: build, encoding: 'utf8' });
      assert.ok(status !== null && (program !== 'gcc' || status === 0), stderr);
    };
    run('gcc', '-fprofile-arcs', '-ftest-coverage', '-c', `${FILE}.c`, '-o', `${FILE}.o`);
    run('gcc', '--coverage', `${FILE}.o`, '-o', 'program');
    for (const count of [0, 2]) {
      rmSync(join(build, `${FILE}.gcda`), { force: true });
      run('./program', ...Array<string>(count).fill('x'));
      const counted = readFileSync(join(build, `${FILE}.gcda`));
      countersOf[count] = { [FILE]: deflateRawSync(counted).toString('base64') };
    }
    for (const end of ['gcno', 'c']) copyFileSync(join(build, `${FILE}.${end}`), join(notes, `${FILE}.${end}`));
    writeFileSync(kernel, 'an image');
    writeFileSync(
      join(notes, 'origins.json'),
      JSON.stringify({
        [`${FILE}.c`]: { 'rfc-v2/hooks-6.12.patch': [[8, 11]], 'rfc-v2/hooks-fault-6.12.patch': [[6, 6]] },
      }),
    );
  });
  after(() => rmSync(work, { recursive: true, force: true }));

  test('gcov tells the lines, their functions, and what was run', async () => {
    const lines = (await linesOfCounters(notes, countersOf[0]!)).get(`${FILE}.c`)!;
    assert.deepEqual([...lines.functions.keys()].sort(), ['main', 'never', 'positive']);
    assert.equal(lines.code.get(10), 'never');
    assert.deepEqual(rangesOfLines(lines.ran), [
      [2, 2],
      [4, 4],
      [6, 6],
      [12, 12],
      [14, 14],
    ]);
  });

  test('counters of another compilation are refused, and so is a file without notes', async () => {
    const bytes = Buffer.from(countersOf[0]![FILE]!, 'base64');
    await assert.rejects(linesOfCounters(notes, { 'arch/x86/kvm/hyperv': bytes.toString('base64') }), {
      code: 'ERR_COVERAGE',
      message: /hyperv\.gcno is missing/,
    });
    const other = Buffer.from('not of gcov, but as long as that');
    await assert.rejects(linesOfCounters(notes, { [FILE]: deflateRawSync(other).toString('base64') }), {
      code: 'ERR_COVERAGE',
    });
  });

  test('runs at two places add up; a run at the same place begins anew; another kernel begins anew', async () => {
    const path = join(work, 'lines.json');
    const record = new CoverageRecord('k');
    record.add('svm', 'a', await linesOfCounters(notes, countersOf[0]!));
    record.write(path);
    const both = CoverageRecord.at(path, 'k', 'vmx');
    both.add('vmx', 'b', await linesOfCounters(notes, countersOf[2]!));
    assert.deepEqual(both.places, ['svm', 'vmx']);
    const { checks } = both.coverageOf(`${FILE}.c`);
    assert.deepEqual([checks.get(4), checks.get(5), checks.get(6), checks.get(10)], [2, 1, 1, 0]);
    assert.deepEqual(CoverageRecord.at(path, 'k', 'svm').places, []);
    assert.deepEqual(CoverageRecord.at(path, 'other', 'vmx').places, []);
  });

  test('a folder has the table, what nobody reached, and what each check reached alone', async () => {
    const folder = new CoverageFolder(join(work, 'out'), kernel, 'svm');
    assert.deepEqual(folder.counted, [FILE]);
    const items: Item[] = [0, 2].map((n) => ({ n, id: `with.${n}`, round: 1 }));
    const executor: Executor = async (all, sink) => {
      for (const item of all) sink.outcome(item, { kind: 'pass' }, 1, 1, { counters: countersOf[item.n]! });
      return null;
    };
    const told: string[] = [];
    const sink: Sink = {
      facts() {},
      start() {},
      note() {},
      outcome: (item) => told.push(item.id) > 0,
    };
    await folder.around(executor)(items, sink);
    assert.deepEqual(told, ['with.0', 'with.2']);
    const text = await folder.finish();
    // Lines 2 4 5 8 10 12 14; the one of the switch for faults is not counted.
    assert.match(text, /arch\/x86\/kvm\/lapic\.c +5 of +7 +71\.4 %/);
    assert.match(text, /rfc-v2\/hooks-6\.12\.patch +0 of +2 +0\.0 %/);
    assert.doesNotMatch(text, /hooks-fault/);
    assert.equal(
      readFileSync(join(work, 'out/unreached.txt'), 'utf8'),
      'arch/x86/kvm/lapic.c\n  never: 8, 10, all of it\n',
    );
    assert.equal(
      readFileSync(join(work, 'out/checks.txt'), 'utf8'),
      `svm with.0: ${FILE}.c 5\n  it alone: ${FILE}.c: 6\nsvm with.2: ${FILE}.c 5\n  it alone: ${FILE}.c: 5\n`,
    );
    const tracefile = readFileSync(join(work, 'out/coverage.info'), 'utf8');
    assert.match(tracefile, /FNDA:2,positive\n/);
    assert.match(tracefile, /DA:4,2\nDA:5,1\n/);
  });

  test('checks are listed in the order that they ran in, whichever is read first', async () => {
    const folder = new CoverageFolder(join(work, 'ordered'), kernel, 'svm');
    // Many files keep the reader of the first one busy for longer than the others take.
    const many: Record<string, string> = {};
    for (let n = 0; n < 500; n++) {
      copyFileSync(join(notes, `${FILE}.gcno`), join(notes, `${FILE}-${n}.gcno`));
      many[`${FILE}-${n}`] = countersOf[0]![FILE]!;
    }
    const items: Item[] = [0, 1, 2].map((n) => ({ n, id: `check.${n}`, round: 1 }));
    const executor: Executor = async (all, sink) => {
      for (const item of all)
        sink.outcome(item, { kind: 'pass' }, 1, 1, { counters: item.n === 0 ? many : countersOf[0]! });
      return null;
    };
    await folder.around(executor)(items, { facts() {}, start() {}, note() {}, outcome: () => true });
    await folder.finish();
    const listed = readFileSync(join(work, 'ordered/checks.txt'), 'utf8').matchAll(/^svm (check\.\d+)/gm);
    assert.deepEqual(
      [...listed].map(([, id]) => id),
      items.map(({ id }) => id),
    );
  });

  test('a folder that cannot be made is told by its name', () => {
    const file = join(work, 'file');
    writeFileSync(file, '');
    assert.throws(() => new CoverageFolder(file, kernel, 'svm'), { code: 'ERR_COVERAGE_FOLDER', message: /file/ });
  });

  test('a kernel without notes is refused', () => {
    const plain = join(work, 'plain');
    mkdirSync(plain);
    writeFileSync(join(plain, 'bzImage'), '');
    assert.throws(() => new CoverageFolder(join(work, 'out'), join(plain, 'bzImage'), 'svm'), { code: 'ERR_COVERAGE' });
  });

  test('counters are found below the path that their objects had', () => {
    const root = join(work, 'debugfs');
    mkdirSync(join(root, 'home/somebody/arch/x86/kvm'), { recursive: true });
    writeFileSync(join(root, 'home/somebody', `${FILE}.gcda`), 'counters');
    writeFileSync(join(root, 'reset'), '');
    const counters = new LineCounters([FILE], root);
    counters.clear();
    assert.notEqual(readFileSync(join(root, 'reset'), 'utf8'), '');
    assert.deepEqual(counters.read(), { [FILE]: deflateRawSync(Buffer.from('counters')).toString('base64') });
    assert.throws(() => new LineCounters(['arch/x86/kvm/irq'], root), { code: 'ERR_KERNEL_COUNTERS' });
    assert.throws(() => new LineCounters([FILE], join(work, 'nowhere')), { code: 'ERR_KERNEL_COUNTERS' });
  });
});
