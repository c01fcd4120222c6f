// Machines: the kit that scripts are written with.
import { machine } from 'kvm-dsm';
import { type Block, type Case, clock } from './case.ts';
import { DONE, guests, PORT } from './guest.ts';
import { writeScript } from './script.ts';

/** A program that says how often by itself: `mov ecx, exits`. */
const program = (exits: number) =>
  Uint8Array.of(0xb9, exits & 255, (exits >> 8) & 255, (exits >> 16) & 255, exits >>> 24, ...guests.pio.code);

/** One run to the last exit of one vCPU, or to all exits of several. */
function run(vcpus: number): Case['block'] {
  return async (count): Promise<Block> => {
    await using made = await machine({ vcpus });
    const each = Math.floor(count / vcpus);
    for (const one of made.vcpus) {
      one.program(program(each));
      writeScript(one.vcpu.kvmRun, guests.pio, each, one.entry);
    }
    const stop = clock();
    await made.run({
      // Each ends with one exit more than it counts.
      until: vcpus === 1 ? { port: DONE } : { exits: (each + 1) * vcpus },
      deadline: '1m',
    });
    const block = stop(each * vcpus);
    if (made.trace.length < block.count) throw new Error(`${made.trace.length} exits in the trace of ${block.count}`);
    return block;
  };
}

async function madeRunClosed(count: number): Promise<Block> {
  const stop = clock();
  for (let i = 0; i < count; i++) {
    await using made = await machine();
    made.vcpu(0).program(program(1));
    writeScript(made.vcpu(0).vcpu.kvmRun, guests.pio, 1, made.vcpu(0).entry);
    await made.run({ until: { port: PORT } });
  }
  return stop(count);
}

export const kitCases: Case[] = [
  { name: 'kit-1', unit: 'exit', count: 5000, aim: 2, block: run(1) },
  { name: 'kit-2', unit: 'exit', vcpus: 2, count: 10_000, aim: 3, block: run(2) },
  { name: 'machine-run-close', unit: 'machine', count: 20, aim: 1.5, block: madeRunClosed },
];
