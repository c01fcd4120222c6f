// vCPUs on threads of their own.
import type { Exit, RecordBatch, Vcpu, VcpuRun } from 'kvm-dsm';
import { type Block, type Case, clock } from './case.ts';
import { DONE, guests } from './guest.ts';
import { makeVm } from './vm.ts';

async function onExit(count: number): Promise<Block> {
  using made = makeVm();
  const vcpu = made.enter(0, guests.pio, count);
  let sum = 0;
  const stop = clock();
  const run = vcpu.start({
    onExit(exit: Exit, self: VcpuRun) {
      if (exit.name === 'KVM_EXIT_IO' && exit.port !== DONE) sum += exit.data[0]! + 1;
      else self.askToStop();
    },
  });
  await run.ended({ deadline: '1m' });
  return checked(stop(count), sum);
}

async function forAwait(count: number): Promise<Block> {
  using made = makeVm();
  const vcpu = made.enter(0, guests.pio, count);
  let sum = 0;
  const stop = clock();
  for await (const exit of vcpu.start()) {
    if (exit.name !== 'KVM_EXIT_IO' || exit.port === DONE) break;
    sum += exit.data[0]! + 1;
  }
  return checked(stop(count), sum);
}

/** Whole exits: each record is decoded. */
function record(vcpus: number): Case['block'] {
  return async (count): Promise<Block> => {
    using made = makeVm(vcpus);
    const each = Math.floor(count / vcpus);
    let sum = 0;
    for (let id = 0; id < vcpus; id++) made.enter(id, guests.pio, each);
    const stop = clock();
    const runs = made.vcpus.map((vcpu) => {
      const left = { exits: each };
      return recorded(vcpu, (batch, self) => {
        for (const { exit } of batch) {
          if (exit.name !== 'KVM_EXIT_IO' || exit.port === DONE) continue;
          sum += exit.data[0]! + 1;
          left.exits -= 1;
        }
        if (left.exits <= 0) self().askToStop();
      });
    });
    await Promise.all(runs.map((run) => run.ended({ deadline: '1m' })));
    return checked(stop(each * vcpus), sum);
  };
}

function recorded(vcpu: Vcpu, onRecords: (batch: RecordBatch, self: () => VcpuRun) => void): VcpuRun {
  const run: VcpuRun = vcpu.start({
    record: { exits: ['KVM_EXIT_IO'], capacity: 4096, onRecords: (batch) => onRecords(batch, () => run) },
  });
  return run;
}

/** A guest that spins. */
function spinning(each: (run: VcpuRun) => Promise<void>): Case['block'] {
  return async (count): Promise<Block> => {
    using made = makeVm();
    const run = made.enter(0, guests.spin, 0).start();
    const stop = clock();
    for (let i = 0; i < count; i++) await each(run);
    const block = stop(count);
    await run.stop();
    return block;
  };
}

async function pauseAndResume(run: VcpuRun): Promise<void> {
  await run.pause();
  run.resume();
}

function checked(block: Block, seen: number): Block {
  if (seen !== block.count) throw new Error(`${seen} exits came of ${block.count}`);
  return block;
}

export const threadCases: Case[] = [
  { name: 'start-on-exit', unit: 'exit', count: 2000, aim: 1.3, block: onExit },
  { name: 'start-for-await', unit: 'exit', count: 2000, aim: 1.3, block: forAwait },
  { name: 'record-1', unit: 'exit', vcpus: 1, count: 20_000, aim: 1.15, block: record(1) },
  { name: 'record-2', unit: 'exit', vcpus: 2, count: 40_000, aim: 1.3, block: record(2) },
  { name: 'record-4', unit: 'exit', vcpus: 4, count: 40_000, aim: 1.3, block: record(4) },
  { name: 'record-16', unit: 'exit', vcpus: 16, count: 40_000, block: record(16) },
  { name: 'record-64', unit: 'exit', vcpus: 64, count: 40_000, block: record(64) },
  { name: 'kick', unit: 'call', count: 1000, needs: 'guest', block: spinning((run) => run.kick()) },
  { name: 'pause-resume', unit: 'pair', count: 1000, needs: 'guest', block: spinning(pauseAndResume) },
];
