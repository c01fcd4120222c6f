/** Writes kvm_run's fields of an IO exit while the vCPU's thread records such exits. Prints `ok`; a crash is the parent's to see. */
import { countOut, makeGuest } from '../support/guest.ts';

const IO_BYTES = 8;
const WANTED = 20_000;
/** Where kvm_run's union begins, and in it the fields of KVM_EXIT_IO: direction, size, port, count, data_offset. */
const UNION = 32;
const OUT = 1n;

using guest = makeGuest();
const vcpu = guest.program(0, countOut(0x42));
let records = 0;
const run = vcpu.start({
  record: {
    exits: ['KVM_EXIT_IO'],
    capacity: 64,
    ioBytes: IO_BYTES,
    onRecords(batch) {
      for (let i = 0; i < batch.length; i++)
        if (batch.data(i).length > IO_BYTES) throw new Error(`${batch.data(i).length} bytes of data`);
      records += batch.length;
    },
  },
  // What cannot be recorded comes here.
  onExit() {
    records += 1;
  },
});

const { buffer, byteOffset } = vcpu.kvmRun;
const fields = new BigUint64Array(buffer, byteOffset + UNION, 2);
const sizes = [1n, 2n, 4n, 8n, 255n];
const counts = [1n, 2n, 8n, 4096n, 0x4000_0000n, 0xffff_ffffn];
const offsets = [4096n, 4092n, 12284n, 1n << 20n, (1n << 64n) - 4n];
for (let turn = 0; records < WANTED; turn++) {
  for (let i = 0; i < 500; i++) {
    fields[0] = OUT | (sizes[i % 5]! << 8n) | (counts[(i + turn) % 6]! << 32n);
    fields[1] = offsets[((i + turn) % 7) % 5]!;
  }
  await new Promise((resolve) => setImmediate(resolve));
}
await run.stop();
console.log('ok');
