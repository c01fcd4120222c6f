import { type Command, Option } from 'commander';
import type { TraceCommandOptions } from '../runner/trace-command.ts';
import type { Ends } from './subcommand.ts';

const forms: TraceCommandOptions['to'][] = ['text', 'diagram', 'perfetto', 'html'];

/** Adds `kvm-dsm trace`. */
export function addTraceCommand(program: Command, ends: Ends): void {
  program
    .command('trace')
    .description('show what `run --trace` has written, or make a file of it for Perfetto or a browser')
    .argument('<file>', 'the trace; - is standard input')
    .addOption(new Option('--to <form>', 'what to make of it').choices(forms).default('text'))
    .option('-o, --output <path>', 'write it there instead of standard output')
    .action(async (file: string, options: TraceCommandOptions) => {
      const { traceCommand } = await import('../runner/trace-command.ts');
      ends(await traceCommand(file, options));
    });
}
