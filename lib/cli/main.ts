#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { ArgumentError } from '../errors.ts';
import { reportError } from './fail.ts';
import { globalOptionsOf, withGlobalOptions, withLeadingOptions } from './options.ts';

/** Exit codes of the command line, a contract: 0 pass, 1 fail, 2 usage, 3 environment not usable, 4 all skipped. */
const USAGE = 2;

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));

const program = withLeadingOptions(new Command('kvm-dsm'))
  .description("Integration tests for KVM's DSM interrupt forwarding")
  .version(version)
  .exitOverride()
  .configureHelp({ showGlobalOptions: false });

// Each subcommand's code is loaded when it is called: start-up inside an emulated machine is slow.
withGlobalOptions(program.command('doctor'))
  .description('is this host, or the lab, ready? every check, its finding, and what to do')
  .action(async (_options, command: Command) => {
    const { doctor } = await import('./doctor.ts');
    process.exitCode = await doctor(globalOptionsOf(command));
  });

withGlobalOptions(program.command('run'))
  .description('run an IPI script (.ts or .js)')
  .argument('<script>')
  .argument('[args...]', "the script's own arguments; options among them go behind --")
  .action(async (script: string, args: string[], _options, command: Command) => {
    const { run } = await import('./run.ts');
    process.exitCode = await run(script, args, globalOptionsOf(command));
  });

withGlobalOptions(program.command('abi'))
  .description("print the active profile's numbers and layouts")
  .action(async (_options, command: Command) => {
    const { abi } = await import('./abi.ts');
    process.exitCode = await abi(globalOptionsOf(command));
  });

if (process.argv.includes('lab')) {
  const { addLabCommand } = await import('./lab.ts');
  addLabCommand(program);
} else {
  program.command('lab').description('build, inspect, enter or remove the lab');
}

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : USAGE;
  else {
    const exitCode = reportError(error, process.argv.includes('--json'));
    // What a script does wrong is the script's failure and reported by `run`; here the command line was wrong.
    process.exitCode = error instanceof ArgumentError ? USAGE : exitCode;
  }
}
// Whatever a script left behind (timers, sockets) does not keep the command alive: its result is out.
process.exit();
