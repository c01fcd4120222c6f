// The JavaScript side of a benchmark: answers each line `case count` as the C side does (bench/c/reference.c).
import { createInterface } from 'node:readline';
import { cases } from './index.ts';

for await (const line of createInterface({ input: process.stdin })) {
  const [name, count] = line.split(' ');
  const found = cases.find((one) => one.name === name);
  // What a block leaves behind is not the next one's to collect.
  globalThis.gc?.();
  if (!found) console.log('-');
  else {
    const block = await found.block(Number(count));
    console.log(`${block.wall} ${block.cpu} ${block.count}`);
  }
}
