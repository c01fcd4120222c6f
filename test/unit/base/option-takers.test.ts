/** Every object that the public API takes by its keys refuses one that there is not: whoever adds one adds its row. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { buildLab, labShell, runInLab } from '../../../lib/faces/lab.ts';
import { subject } from '../../../lib/faces/suite.ts';
import { placeOf, refuses } from '../../support/odd-key.ts';
import { type OptionCall, optionCalls, type World } from '../../support/option-calls.ts';
import { optionTakers } from '../../support/option-takers.ts';

/** What takes an object by its keys, and no options: by its name as `optionTakers` gives it. */
const others: Record<string, RegExp> = {
  'a profile, which may have exits of its own: checkProfile looks at what is used': /\bprofile\b/,
  'what the package has made, handed back': /\((exit|event)[.)]|^describeNodeIpi\(|^Trace\.record\(/,
  'an error, which the package makes': /^(new )?\w+Error[(.]/,
  'an object that the package makes for itself': /^new VfioContainer\(/,
  'an object of Node.js, or of any class, with methods': /\.(signal|std\w+)\)|^insertBreakpoint\(|\(code\)/,
};

const streams = { stdout: process.stdout, stderr: process.stderr };
const lab = { lane: 'svm', ...streams, limits: { bootSeconds: 1 } } as const;
const check = {
  id: 'odd.one',
  claim: 'Nothing is odd',
  source: 'SDM',
  deadline: '1s',
  needs: [{ name: 'luck', missing: () => null }],
  shortfall: { profiles: ['rfc-v2'], reason: 'it is odd', source: 'SDM' },
  run() {},
};
const shortOfSeveral = { ...check, shortfall: [check.shortfall] };
const dry = (good: unknown, call: OptionCall['call']): OptionCall => ({
  good: () => [good],
  call,
  anywhere: true,
  dry: true,
});
const rows: Record<string, OptionCall> = {
  ...optionCalls,
  'buildLab(options)': dry({ reportEveryMs: 1 }, (given) => buildLab(given)),
  'labShell(options)': dry({ ...lab, stdin: process.stdin }, (given) => labShell(given)),
  'runInLab(options)': dry({ ...lab, argv: [], files: [{ path: '/a', data: '' }] }, (given) => runInLab(given)),
  'subject(checks[])': {
    good: () => [[check], [shortOfSeveral]],
    call: (given) => subject('odd', 'Odd', given),
    anywhere: true,
  },
};

/** These calls need no KVM; test/host/option-calls.test.ts has those that do. */
const nothing = undefined as unknown as World;

const takers = optionTakers().filter((taker) => !Object.values(others).some((other) => other.test(taker)));

describe('an object that is taken by its keys', () => {
  test('the compiler finds many of them', () => {
    assert.ok(takers.length > 150, `${takers.length}`);
    for (const known of ['machine(options)', 'Vcpu.start(options.record)', 'VcpuRun.kick(options)'])
      assert.ok(takers.includes(known), known);
  });

  test('each has a row, and each row is of one', () => {
    const calls = new Set(takers.map((taker) => placeOf(taker).call));
    assert.deepEqual(Object.keys(rows).sort(), [...calls].sort());
  });

  test('each of the others is there', () => {
    const all = optionTakers();
    for (const [why, other] of Object.entries(others))
      assert.ok(
        all.some((taker) => other.test(taker)),
        why,
      );
  });

  for (const taker of takers) {
    const { call, path } = placeOf(taker);
    const row = rows[call];
    if (row?.anywhere)
      test(taker, async () => {
        let tried = 0;
        for (const good of row.good(nothing)) {
          if (!(await refuses(row, good, path, nothing))) continue;
          tried += 1;
          if (!row.dry) await row.call(good, nothing);
        }
        assert.ok(tried > 0, 'no object stands at this place of what its row gives');
      });
  }
});
