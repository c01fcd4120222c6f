// What does not depend on the machine's mood: system calls and instructions of user space per exit.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A side of a comparison: its command, and what it is started with. */
export interface SideCommand {
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

/** One with the counts of a block, the other with those of a block that is this many times as long. */
const LONGER = 3;
/** Blocks before, in which code is compiled. */
const WARM = 3;
const DEADLINE = 580_000;

type Count = (side: SideCommand, input: string) => number;

/** How many system calls the process and its threads make. */
const systemCalls: Count = ({ command, environment }, input) =>
  inFolder((folder) => {
    const report = join(folder, 'calls');
    // To the command alone: strace makes none of them.
    const set = Object.entries(environment).flatMap(([name, value]) => ['-E', `${name}=${value}`]);
    run(['strace', '-f', '-c', '-o', report, ...set, ...command], {}, input);
    const total = /^\s*100\.00\s+[\d.]+\s+\d*\s+(\d+)\b.*total$/m.exec(readFileSync(report, 'utf8'));
    if (!total) throw new Error(`strace said nothing of a total:\n${readFileSync(report, 'utf8')}`);
    return Number(total[1]);
  });

/** How many instructions it executes in user space, on all threads. */
const instructions: Count = ({ command, environment }, input) => {
  const tool = ['valgrind', '--tool=cachegrind', '--cache-sim=no', '--cachegrind-out-file=/dev/null'];
  const { stderr } = run([...tool, ...command], environment, input);
  const total = /I\s+refs:\s+([\d,]+)/.exec(stderr);
  if (!total) throw new Error(`valgrind said nothing of instructions:\n${stderr}`);
  return Number(total[1]!.replaceAll(',', ''));
};

const counts = {
  calls: { tool: 'strace', count: systemCalls },
  instructions: { tool: 'valgrind', count: instructions },
};
export type CountName = keyof typeof counts;
export const countNames = Object.keys(counts) as CountName[];
export const isCountName = (name: string): name is CountName => name in counts;

/** Why it cannot be counted here, or null. */
export function missingTool(name: CountName): string | null {
  const { tool } = counts[name];
  return spawnSync(tool, ['--version']).error ? `no ${tool} here` : null;
}

/** How many of them one exit (call, machine) of the case takes. */
export function countsOf(name: CountName, side: SideCommand, caseName: string, count: number): number {
  const warm = `${caseName} ${count}\n`.repeat(WARM);
  const of = (length: number) => counts[name].count(side, `${warm}${caseName} ${length}\n`);
  // What a process and a block take by themselves is in both.
  return (of(count * LONGER) - of(count)) / (count * (LONGER - 1));
}

function run(command: readonly string[], environment: Readonly<Record<string, string>>, input: string) {
  const [program, ...args] = command as [string, ...string[]];
  const options = { input, encoding: 'utf8', timeout: DEADLINE, env: { ...process.env, ...environment } } as const;
  const { status, stdout, stderr, error } = spawnSync(program, args, options);
  if (error) throw error;
  if (
    status !== 0 ||
    stdout
      .trim()
      .split('\n')
      .some((line) => !/^\d/.test(line))
  )
    throw new Error(`${command.join(' ')} ended with ${status}:\n${stdout}${stderr}`);
  return { stdout, stderr };
}

function inFolder<T>(use: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'kvm-dsm-bench-'));
  try {
    return use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
