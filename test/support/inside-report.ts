/** What became of tests inside the lab, as subtests of one outside. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { InnerRun } from './tests-inside.ts';

/** A test whose name has the count that it used. */
const counted = /\d (recorded|kicks|times|VMs|vCPUs|exits)\b/;

/** Every file had results, each failure and each skip shows here, and none that the series is tested by was skipped. */
export async function reportInside(t: TestContext, files: readonly string[], run: InnerRun): Promise<void> {
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
  const series = run.tests.filter(({ file }) => /\/(icr-order|save-pending|stop-pending|synic-rounds)\./.test(file));
  assert.deepEqual(
    names(series.filter(({ skip }) => skip && !skip.startsWith('Bochs '))),
    [],
    'skipped, and must not be',
  );
  const stock = run.tests.filter(({ file }) => file === 'host/stock-ipi.test.ts');
  assert.deepEqual(names(stock.filter(({ skip }) => skip === false)), [], 'a stock kernel is tested on a DSM kernel');
  assert.equal(run.exitCode, 0, run.stdout + run.stderr);
}
