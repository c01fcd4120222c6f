/**
 * `npm run soak`: the heavy counts of the host tests, whole and more, inside the lab. Prints what was counted and how long
 * it took; ends with 1 if anything failed.
 */
import { parseArgs } from 'node:util';
import { type LaneName, laneNames } from '../../lib/lab/lanes/index.ts';
import { runTestsInside } from '../support/tests-inside.ts';

/** Counts beside those that the tests have: 4 vCPUs record 250,000 exits each, three are kicked 200,000 times together. */
const parts = [
  { file: 'host/record.test.ts', counts: 10 },
  { file: 'host/kick.test.ts', counts: 1 },
];

/** Emulated, everything takes longer than its test allows on a host. */
const PATIENCE = 40;
const TIMEOUT_SECONDS = 7200;

const { values } = parseArgs({ options: { on: { type: 'string', default: 'svm' } } });
const lane = laneNames.find((name) => name === values.on);
if (lane === undefined) throw new Error(`--on ${values.on}: one of ${laneNames.join(', ')}`);

const soak = async (on: LaneName): Promise<boolean> => {
  let isOk = true;
  for (const { file, counts } of parts) {
    const run = await runTestsInside(on, [file], {
      counts,
      timeoutSeconds: TIMEOUT_SECONDS,
      env: { KVM_DSM_TEST_PATIENCE: String(PATIENCE) },
    });
    for (const { name, ms, skip, error } of run.tests) {
      const verdict = error !== null ? 'FAILED' : skip === false ? 'ok' : `skipped: ${skip}`;
      console.log(`${file} on ${on}: ${name}: ${verdict}, ${(ms / 1000).toFixed(1)} s`);
      if (error !== null) console.log(error);
    }
    for (const line of run.diagnostics) console.log(`  ${line}`);
    isOk &&= run.exitCode === 0 && run.tests.length > 0 && run.tests.every(({ error, skip }) => !error && !skip);
  }
  return isOk;
};

process.exitCode = (await soak(lane)) ? 0 : 1;
