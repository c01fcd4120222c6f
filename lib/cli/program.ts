import { Command, CommanderError } from 'commander';
import { ArgumentError } from '../base/errors.ts';
import { PARSED_RUN } from '../runner/parsed-run.ts';
import { reportError } from '../target/fail.ts';
import {
  globalOptionsOf,
  type RunOptions,
  withGlobalOptions,
  withLeadingOptions,
  withRunOptions,
} from '../target/options.ts';
import { followParent } from '../target/own-process.ts';
import { version } from '../target/version.ts';
import { SUITE_TIMEOUT, SUITE_WORKER, type TestOptions, testOptions } from './test-options.ts';

/** Exit codes of the command line, a contract: 0 pass, 1 fail, 2 usage, 3 environment not usable, 4 all skipped. */
const USAGE = 2;

/** Runs the command with `argv` as in `process.argv`; returns the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  followParent();
  if (argv[2] === PARSED_RUN) {
    const { runParsed } = await import('./run.ts');
    return runParsed(argv[3]!);
  }
  if (argv[2] === SUITE_WORKER) {
    const { suiteWorker } = await import('./suite-worker.ts');
    return suiteWorker();
  }
  let exitCode = 0;
  const program = withLeadingOptions(new Command('kvm-dsm'))
    .description("Integration tests for KVM's DSM interrupt forwarding")
    .version(version())
    .exitOverride()
    .configureHelp({ showGlobalOptions: false });

  // Each subcommand's code is loaded when it is called: start-up inside an emulated machine is slow.
  withGlobalOptions(program.command('doctor'))
    .description('is this host, or the lab, ready? every check, its finding, and what to do')
    .action(async (_options, command: Command) => {
      const { doctor } = await import('./doctor.ts');
      exitCode = await doctor(globalOptionsOf(command));
    });

  withGlobalOptions(withRunOptions(program.command('run')))
    .description('run an IPI script (.ts or .js)')
    .argument('<script>')
    .argument('[args...]', "the script's own arguments; options among them go behind --")
    .action(async (script: string, args: string[], _options, command: Command) => {
      const { run } = await import('./run.ts');
      exitCode = await run(script, args, globalOptionsOf<RunOptions>(command));
    });

  const test = withGlobalOptions(program.command('test'), SUITE_TIMEOUT);
  for (const option of testOptions()) test.addOption(option);
  test
    .description('run the conformance suite')
    .argument('[pattern...]', 'parts of the names of checks, or globs such as payload.*.vector')
    .action(async (patterns: string[], own: TestOptions, command: Command) => {
      const { test } = await import('./test.ts');
      exitCode = await test(patterns, own, globalOptionsOf(command));
    });

  withGlobalOptions(program.command('abi'))
    .description('numbers and layouts, their sources, and what this kernel answers to each')
    .action(async (_options, command: Command) => {
      const { abi } = await import('./abi.ts');
      exitCode = await abi(globalOptionsOf(command));
    });

  if (argv.includes('lab')) {
    const { addLabCommand } = await import('./lab.ts');
    addLabCommand(program, (code) => {
      exitCode = code;
    });
  } else {
    program.command('lab').description('build, inspect, enter or remove the lab');
  }

  try {
    await program.parseAsync(argv);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE;
    const failed = reportError(error, argv.includes('--json'));
    // What a script does wrong is the script's failure and reported by `run`; here the command line was wrong.
    return error instanceof ArgumentError ? USAGE : failed;
  }
  return exitCode;
}
