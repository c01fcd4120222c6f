// Under the overhead's shim: what a process keeps of its exits. Its argument: how many of `run()`, and how many in a trace.
import { machine } from 'kvm-dsm';
import { DONE, guests } from '../cases/guest.ts';
import { writeScript } from '../cases/script.ts';
import { makeVm } from '../cases/vm.ts';

const [runs, traced] = process.argv.slice(2).map(Number) as [number, number];

function memory(): { heap: number; rss: number } {
  globalThis.gc!();
  const { heapUsed, external, rss } = process.memoryUsage();
  return { heap: heapUsed + external, rss };
}

function difference(of: number, before: ReturnType<typeof memory>) {
  const { heap, rss } = memory();
  return { heap: (heap - before.heap) / of, rss: (rss - before.rss) / of };
}

function growth() {
  using made = makeVm();
  const warm = Math.ceil(runs / 10);
  const vcpu = made.enter(0, guests.pio, runs + warm);
  for (let i = 0; i < warm; i++) vcpu.run();
  const before = memory();
  for (let i = 0; i < runs; i++) vcpu.run();
  return difference(runs, before);
}

async function trace() {
  await using made = await machine();
  const [one] = made.vcpus;
  one!.program(guests.pio.code);
  writeScript(one!.vcpu.kvmRun, guests.pio, traced, one!.entry);
  const before = memory();
  await made.run({ until: { port: DONE }, deadline: '10m' });
  if (made.trace.length < traced) throw new Error(`${made.trace.length} exits in the trace`);
  return difference(traced, before);
}

console.log(JSON.stringify({ growth: growth(), trace: await trace() }));
