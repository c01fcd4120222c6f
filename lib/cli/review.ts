import { type Command, Option } from 'commander';
import type { ReviewCommandOptions } from '../review/command.ts';
import { globalOptionsOf, withGlobalOptions } from '../target/options.ts';
import type { Ends } from './subcommand.ts';

/** Seconds that the suite may take in each lane. */
const TIMEOUT = 3600;

/** Adds `kvm-dsm review`. */
export function addReviewCommand(program: Command, ends: Ends): void {
  const several = (value: string, before: string[]) => [...before, value];
  withGlobalOptions(program.command('review'), TIMEOUT)
    .description('from a series of patches to a verdict: apply, build, boot, run the suite, answer')
    .argument('<series...>', 'a mailbox, mails or patches, a folder of them, or a tree that has the series')
    .option(
      '--base <tree or commit>',
      "what it stands on: a tree, or a commit of a git tree (default: Debian's source, as the lab has it; of a git tree: what HEAD shares with its upstream, or its newest tag)",
    )
    .option('--config <file or CONFIG_X=y>', 'add to both configurations; may be given again', several, [])
    .option('--only <pattern>', 'only checks whose names have this part; may be given again', several, [])
    .option('--no-destructive', 'leave the checks out that may take the kernel down')
    .option('--checklist', 'apply it and go through the checklist: nothing is built or booted', false)
    .option('--out <folder>', 'write reply.txt, review.json and KTAP files into this folder')
    .addOption(new Option('--reporter <name>', 'what is printed').choices(['reply', 'ktap']).default('reply'))
    .action(async (paths: string[], own: ReviewCommandOptions, command: Command) => {
      const { runReview } = await import('../review/command.ts');
      const global = globalOptionsOf(command);
      const isNamed = [command, command.parent].some((level) => level?.getOptionValueSource('profile') === 'cli');
      ends(await runReview(paths, own, global, isNamed && global.profile !== 'auto' ? global.profile : null));
    });
}
