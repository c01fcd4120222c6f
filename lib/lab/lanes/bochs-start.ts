/** How Bochs is started: from files in a folder, and quietly. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Invocation } from './lane.ts';

const quiet = [
  'log: emulator.log',
  'panic: action=fatal',
  // One line per odd instruction fills disks.
  'error: action=ignore',
  'info: action=ignore',
  'debug: action=ignore',
];

/** @param dir the folder that it runs in: gets the files @param machine lines of its configuration */
export function startOf(bochs: { debugger: boolean }, dir: string, machine: readonly string[]): Invocation {
  writeFileSync(join(dir, 'bochsrc'), `${[...machine, ...quiet].join('\n')}\n`);
  const args = ['-q', '-f', 'bochsrc'];
  if (bochs.debugger) {
    writeFileSync(join(dir, 'go'), 'c\n');
    args.push('-rc', 'go');
  }
  // The text display wants to know a terminal, though its output goes nowhere.
  return { args, env: { ...process.env, TERM: 'xterm' } };
}
