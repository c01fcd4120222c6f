import { readdirSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { random } from 'kvm-dsm';

setFlagsFromString('--expose-gc');
const ballast = new Array(10_000).fill(random.seed);
const counts = globalThis as { runs?: number };
counts.runs = (counts.runs ?? 0) + 1;
if (counts.runs === 100 || counts.runs === 1000) {
  runInNewContext('gc')();
  const { heapUsed } = process.memoryUsage();
  console.error(`run ${counts.runs} ${heapUsed} ${readdirSync('/proc/self/fd').length} ${ballast.length}`);
}
