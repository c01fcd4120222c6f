#!/usr/bin/env node
import { main } from './program.ts';

// Whatever a script left behind (timers, sockets) does not keep the command alive: its result is out.
process.exit(await main(process.argv));
