/** The tests that need a KVM, inside the lab. */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { labMissing } from '../support/lab.ts';
import { hostFiles, type InnerRun, internalFiles, runTestsInside, teardownFiles } from '../support/tests-inside.ts';

const skip = labMissing();

/** What is done of the heavy counts: see test/support/counts.ts. */
const COUNTS = { svm: 0.001, vmx: 0.001 };

/** A test whose name has the count that it used. */
const counted = /\d (recorded|kicks|times|VMs|vCPUs|exits)\b/;

/** Every file had results, each failure and each skip shows here, and none that the series is tested by was skipped. */
async function report(t: TestContext, files: readonly string[], run: InnerRun): Promise<void> {
  for (const line of run.diagnostics) t.diagnostic(`inside: ${line}`);
  for (const { name } of run.tests) if (counted.test(name)) t.diagnostic(`count: ${name}`);
  for (const file of files) {
    const results = run.tests.filter((test) => file === test.file);
    const seconds = results.reduce((sum, { ms }) => sum + ms, 0) / 1000;
    await t.test(`${file}: ${results.length} tests, ${seconds.toFixed(1)} s inside`, async (of) => {
      assert.ok(results.length > 0, `no result of ${file}\n${run.stdout}${run.stderr}`);
      for (const { name, skip, error } of results)
        if (skip !== false || error !== null)
          await of.test(name, { skip }, () => assert.fail(`inside the lab:\n${error}`));
    });
  }
  const names = (of: InnerRun['tests']) => of.map(({ name }) => name);
  const series = run.tests.filter(({ file }) => /\/(icr-order|save-pending|synic-rounds)\./.test(file));
  assert.deepEqual(
    names(series.filter(({ skip }) => skip && !skip.startsWith('Bochs '))),
    [],
    'skipped, and must not be',
  );
  const stock = run.tests.filter(({ file }) => file === 'host/stock-ipi.test.ts');
  assert.deepEqual(names(stock.filter(({ skip }) => skip === false)), [], 'a stock kernel is tested on a DSM kernel');
  assert.equal(run.exitCode, 0, run.stdout + run.stderr);
}

describe('the host tests hold inside the lab', { skip, concurrency: 2, timeout: 1_200_000 }, () => {
  const files = hostFiles();
  for (const lane of ['svm', 'vmx'] as const)
    test(`${lane}, with ${COUNTS[lane]} of the counts`, async (t) => {
      await report(t, files, await runTestsInside(lane, files, { counts: COUNTS[lane] }));
    });
});

describe('the teardown tests, and those of the insides, hold inside the lab', { skip, timeout: 1_200_000 }, () => {
  const files = [...teardownFiles(), ...internalFiles()];
  test(`svm, with ${COUNTS.svm} of the counts`, async (t) => {
    await report(t, files, await runTestsInside('svm', files, { counts: COUNTS.svm }));
  });
});
