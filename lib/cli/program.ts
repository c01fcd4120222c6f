/** The command line that a user types: its subcommands, and what each error ends with. */
import { Command, CommanderError } from 'commander';
import { ArgumentError } from '../base/errors.ts';
import { withLeadingOptions } from '../target/options.ts';
import { print } from '../target/output.ts';
import { reportError } from '../target/report-error.ts';
import { version } from '../target/version.ts';
import { addAbiCommand } from './abi.ts';
import { addCheckCommand } from './check.ts';
import { addDoctorCommand } from './doctor.ts';
import { addInitCommand } from './init.ts';
import { addReviewCommand } from './review.ts';
import { addRunCommand } from './run.ts';
import type { Ends } from './subcommand.ts';
import { addTestCommand } from './test.ts';
import { addTraceCommand } from './trace.ts';

/** Exit codes of the command line, a contract: 0 pass, 1 fail, 2 usage, 3 environment not usable, 4 all skipped. */
const USAGE = 2;

/** Runs the command with `argv` as in `process.argv`; returns the exit code. */
export async function runProgram(argv: readonly string[]): Promise<number> {
  let exitCode = 0;
  const ends: Ends = (code) => {
    exitCode = code;
  };
  const program = withLeadingOptions(new Command('kvm-dsm'))
    .description("Integration tests for KVM's DSM interrupt forwarding")
    .version(version())
    .exitOverride()
    .configureOutput({ writeOut: print })
    .configureHelp({ showGlobalOptions: false });
  addDoctorCommand(program, ends);
  addRunCommand(program, ends);
  addCheckCommand(program, ends);
  addTestCommand(program, ends);
  addInitCommand(program, ends);
  addAbiCommand(program, ends);
  addReviewCommand(program, ends);
  addTraceCommand(program, ends);
  if (argv.includes('lab')) {
    const { addLabCommand } = await import('./lab.ts');
    addLabCommand(program, ends);
  } else {
    program.command('lab').description('build, inspect, bring up, enter or remove the lab');
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
