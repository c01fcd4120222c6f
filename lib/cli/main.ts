#!/usr/bin/env node
import { letReadersGo, outputSent } from '../target/output.ts';
import { main } from './program.ts';

letReadersGo();
// Whatever a script left behind (timers, sockets) does not keep the command alive: its result is out.
const code = await main(process.argv);
await outputSent();
process.exit(code);
