/** The command line that a user types: its subcommands, and what each error ends with. */
import { Command, CommanderError } from 'commander';
import { ArgumentError } from '../base/errors.ts';
import { withLeadingOptions } from '../target/options.ts';
import { print } from '../target/output.ts';
import { reportError } from '../target/report-error.ts';
import { catchSignals, orInterruption } from '../target/signals.ts';
import { mustFinish } from '../target/unfinished.ts';
import { version } from '../target/version.ts';
import { addAbiCommand } from './abi.ts';
import { addCheckCommand } from './check.ts';
import { addDoctorCommand } from './doctor.ts';
import { addExploreCommand } from './explore.ts';
import { addInitCommand } from './init.ts';
import { addKutCommand } from './kut.ts';
import { addNodeCommand } from './node.ts';
import { addReviewCommand } from './review.ts';
import { addRunCommand } from './run.ts';
import type { Ends } from './subcommand.ts';
import { addTestCommand } from './test.ts';
import { addTraceCommand } from './trace.ts';

/** What `kvm-dsm completion` does. */
const COMPLETION = 'print the completion of a shell: bash, zsh, fish';

/** Exit codes of the command line, a contract: 0 pass, 1 fail, 2 usage, 3 environment not usable, 4 all skipped. */
const USAGE = 2;

/** Runs the command with `argv` as in `process.argv`; returns the exit code. */
export async function runProgram(argv: readonly string[]): Promise<number> {
  const json = argv.includes('--json');
  catchSignals((error) => reportError(error, json));
  let exitCode = 0;
  const ends: Ends = (code) => {
    exitCode = code;
  };
  const program = await commandLine(ends, argv);
  using _finish = mustFinish('the command');
  try {
    await program.parseAsync(argv);
  } catch (thrown) {
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : USAGE;
    const error = await orInterruption(thrown);
    const failed = reportError(error, json);
    // What a script does wrong is the script's failure and reported by `run`; here the command line was wrong.
    return error instanceof ArgumentError ? USAGE : failed;
  }
  return exitCode;
}

/**
 * The program with its subcommands. What belongs to one of them alone is loaded only where it is asked for.
 *
 * @param argv as in `process.argv`; without it everything is there, for what describes the whole program
 */
export async function commandLine(ends: Ends, argv?: readonly string[]): Promise<Command> {
  const asksFor = (...words: string[]) => argv === undefined || words.some((word) => argv.includes(word));
  const program = withLeadingOptions(new Command('kvm-dsm'))
    .description("Integration tests for KVM's DSM interrupt forwarding")
    .version(version())
    .exitOverride()
    .configureOutput({ writeOut: print })
    .configureHelp({ showGlobalOptions: false });
  addDoctorCommand(program, ends);
  addRunCommand(program, ends);
  addNodeCommand(program, ends);
  addExploreCommand(program, ends);
  addCheckCommand(program, ends);
  addTestCommand(program, ends);
  addInitCommand(program, ends);
  addAbiCommand(program, ends);
  addReviewCommand(program, ends);
  addKutCommand(program, ends);
  addTraceCommand(program, ends);
  // Whoever asks for a completion asks for that of the lab's commands as well.
  if (asksFor('lab', 'completion')) {
    const { addLabCommand } = await import('./lab.ts');
    addLabCommand(program, ends);
  } else {
    program.command('lab').description('build, inspect, bring up, enter or remove the lab');
  }
  if (asksFor('completion')) {
    const { addCompletionCommand } = await import('./completion.ts');
    addCompletionCommand(program, COMPLETION);
  } else {
    program.command('completion').description(COMPLETION);
  }
  return program;
}
