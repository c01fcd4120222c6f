/** What the process of the command does. */
import { internalCommand } from '../runner/internal-command.ts';
import { exitCodeWithOutput, letReadersGo, outputSent } from '../target/output.ts';
import { followParent } from '../target/own-process.ts';
import { runProgram } from './program.ts';
import { publicModules } from './public-modules.ts';

/** Runs the command that the process' arguments name, and ends the process. */
export async function start(): Promise<never> {
  letReadersGo();
  followParent();
  // What a script has left running (timers, sockets) does not keep the command alive: its result is out.
  const code = await (internalCommand(process.argv, publicModules) ?? runProgram(process.argv));
  await outputSent();
  process.exit(exitCodeWithOutput(code));
}
