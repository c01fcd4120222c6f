/**
 * Keeps what a lane's kernel shows of random histories, for recorded.test.ts:
 *
 *     node --import tsx test/unit/apic/record.ts svm 150 7
 */
import { writeFileSync } from 'node:fs';
import { brotliCompressSync } from 'node:zlib';
import { runTestsInside } from '../../support/tests-inside.ts';

const [lane = 'svm', count = '150', seed = '1'] = process.argv.slice(2);
const env = { KVM_DSM_TEST_HISTORIES: count, KVM_DSM_TEST_SEED: seed };
const { tests, diagnostics } = await runTestsInside(lane as 'svm' | 'vmx', ['internal/recorded-histories.test.ts'], {
  counts: 1,
  env,
});
for (const { name, error } of tests) if (error !== null) throw new Error(`${name}: ${error}`);
const histories = diagnostics.flatMap((line) => (line.startsWith('recorded ') ? [line.slice('recorded '.length)] : []));
if (histories.length !== tests.length * Number(count)) throw new Error(`${histories.length} histories came out`);
writeFileSync(new URL(`recorded/${lane}.ndjson.br`, import.meta.url), brotliCompressSync(histories.join('\n')));
console.log(`${histories.length} histories`);
