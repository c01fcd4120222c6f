#!/usr/bin/env node
/** The command `kvm-dsm`, as a process. */
import { internalCommand } from '../runner/internal-command.ts';
import { exitCodeWithOutput, letReadersGo, outputSent } from '../target/output.ts';
import { followParent } from '../target/own-process.ts';
import { runProgram } from './program.ts';
import { publicModules } from './public-modules.ts';

letReadersGo();
followParent();
// What a script has left running (timers, sockets) does not keep the command alive: its result is out.
const code = await (internalCommand(process.argv, publicModules) ?? runProgram(process.argv));
await outputSent();
process.exit(exitCodeWithOutput(code));
