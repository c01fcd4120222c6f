// The JavaScript side of a benchmark: answers each line `case count` as the C side does (bench/c/reference.c).
import { createInterface } from 'node:readline';
import { UnsupportedError } from 'kvm-dsm';
import type { Case } from './case.ts';
import { cases } from './index.ts';
import { makeVm } from './vm.ts';

function isPossible({ needs }: Case): boolean {
  if (needs !== 'series') return true;
  using made = makeVm();
  try {
    made.vm.dsmIpi({ vcpuId: 0, val: 0x310, val2: 0 });
    return true;
  } catch (error) {
    if (error instanceof UnsupportedError) return false;
    throw error;
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const [name, count] = line.split(' ');
  const found = cases.find((one) => one.name === name);
  // What a block leaves behind is not the next one's to collect. The young generation alone: a whole collection finds the block's
  // VM dead, and V8 then throws away the code that it has optimised for it, which no loop of a script goes through.
  globalThis.gc?.({ type: 'minor' });
  if (!found || !isPossible(found)) console.log('-');
  else {
    const block = await found.block(Number(count));
    console.log(`${block.wall} ${block.cpu} ${block.count}`);
  }
}
