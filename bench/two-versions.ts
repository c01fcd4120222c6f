// What an exit costs in this checkout beside another one (both built), in one process and in turns: decoding alone, and
// with KVM_RUN before it where there is a KVM. Prints the medians and their ratio.
//
//   node --import tsx bench/two-versions.ts <folder of the other checkout> [blocks]

import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

type Package = typeof import('kvm-dsm');

const [folder, blocks = '40'] = process.argv.slice(2);
if (folder === undefined || !existsSync(resolve(folder, 'dist/index.js')))
  throw new Error('Give the folder of another checkout that is built: it has no dist/index.js');
const load = (root: string) => import(pathToFileURL(resolve(root, 'dist/index.js')).href) as Promise<Package>;
const versions = [await load('.'), await load(folder)];

/** kvm_run with exit_reason at byte 8 and the union at byte 32. Source: include/uapi/linux/kvm.h. */
function page(reason: number, ...words: number[]): DataView {
  const view = new DataView(new ArrayBuffer(8192));
  view.setUint32(8, reason, true);
  for (const [index, word] of words.entries()) view.setUint32(32 + 4 * index, word, true);
  return view;
}

const pages: Record<string, DataView> = {
  'decode KVM_EXIT_DSM_SEND_IRQ, ICR': page(45, 0, 0x300, 0x40f0, 1),
  'decode KVM_EXIT_DSM_SEND_IRQ, ICR2': page(45, 0, 0x310, 0x0100_0000, 1),
  // Out, 1 byte, port 0x10, once, data at 4096.
  'decode KVM_EXIT_IO': page(2, 0x0010_0101, 1, 4096, 0),
  'decode KVM_EXIT_MMIO': page(6, 0xfee0_0300, 0, 0, 0, 4, 1),
  'decode KVM_EXIT_HLT': page(5),
};

const median = (values: number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;

/** Nanoseconds of one call, for each version. */
function compare(name: string, works: (() => void)[], calls: number): void {
  const times: number[][] = works.map(() => []);
  for (const work of works) for (let i = 0; i < calls; i++) work();
  for (let block = 0; block < Number(blocks); block++) {
    // Who goes first changes, too.
    for (const which of block % 2 ? [1, 0] : [0, 1]) {
      const work = works[which]!;
      const began = process.hrtime.bigint();
      for (let i = 0; i < calls; i++) work();
      times[which]!.push(Number(process.hrtime.bigint() - began) / calls);
    }
  }
  const [now, then] = times.map(median) as [number, number];
  console.log(`${name.padEnd(36)} ${now.toFixed(0)} ns, the other ${then.toFixed(0)} ns: ${(now / then).toFixed(3)}`);
}

for (const [name, view] of Object.entries(pages))
  compare(
    name,
    versions.map(
      ({ decodeExit }) =>
        () =>
          void decodeExit(view),
    ),
    20_000,
  );

if (existsSync('/dev/kvm')) {
  const open: Disposable[] = [];
  const vcpus = versions.map(({ Kvm, GuestMemory, flat32, out8, enterFlat32 }) => {
    const kvm = Kvm.open();
    const vm = kvm.createVm();
    open.push(vm, kvm);
    const memory = GuestMemory.allocate(8192);
    vm.setMemory({ slot: 0, guestPhysAddr: 0, memory });
    // Falls from one `out` into the next, and is put back after the last.
    const outs = Array.from({ length: 1000 }, () => out8(0x10));
    memory.write(4096, flat32(...outs).bytes);
    const vcpu = vm.createVcpu(0);
    enterFlat32(vcpu, { rip: 4096, rsp: 4096, interrupts: true });
    const start = vcpu.getRegs();
    let left = outs.length;
    return {
      vcpu,
      again() {
        if (--left > 0) return;
        left = outs.length;
        vcpu.setRegs(start);
      },
    };
  });
  const cases = { 'runRaw()': 'runRaw', 'run() and decode': 'run' } as const;
  for (const [name, method] of Object.entries(cases))
    compare(
      name,
      vcpus.map(({ vcpu, again }) => () => {
        vcpu[method]();
        again();
      }),
      2000,
    );
  for (const thing of open) thing[Symbol.dispose]();
}
