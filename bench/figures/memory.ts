// What a process keeps of its exits: nothing of those that it ran, and little of those in a trace.
import { spawnSync } from 'node:child_process';
import { shimmedSides } from '../overhead/sides.ts';
import type { Figure } from './figure.ts';

interface Kept {
  readonly heap: number;
  readonly rss: number;
}

const RUNS = 1e7;
const TRACED = 1e6;

export function memory(share: number): Figure[] {
  using sides = shimmedSides(0);
  const { command, environment } = sides.withWorker('figures/memory-worker.ts');
  const [program, ...args] = command as [string, ...string[]];
  const [runs, traced] = [RUNS, TRACED].map((count) => Math.ceil(count * share)) as [number, number];
  const env = { ...process.env, ...environment };
  const { status, stdout, stderr } = spawnSync(program, [...args, String(runs), String(traced)], {
    env,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`${program} ended with ${status}:\n${stderr}`);
  const found = JSON.parse(stdout) as { growth: Kept; trace: Kept };
  const exits = (count: number) => count.toLocaleString('en');
  return [
    { name: 'memory', what: `heap, per exit of ${exits(runs)}`, value: found.growth.heap, unit: 'bytes', aim: 0.1 },
    { name: 'memory', what: `RSS, per exit of ${exits(runs)}`, value: found.growth.rss, unit: 'bytes', aim: 1 },
    {
      name: 'memory',
      what: `heap, per exit in a trace of ${exits(traced)}`,
      value: found.trace.heap,
      unit: 'bytes',
      aim: 200,
    },
    { name: 'memory', what: `RSS, per exit in a trace of ${exits(traced)}`, value: found.trace.rss, unit: 'bytes' },
  ];
}
