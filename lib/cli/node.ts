import { type Command, InvalidArgumentError, Option } from 'commander';
import type { NodeCommandOptions } from '../runner/node-command.ts';
import { quietOption, seedOption } from '../runner/options.ts';
import { integer } from '../runner/suite/options.ts';
import { globalOptionsOf, withGlobalOptions } from '../target/options.ts';
import { publicModules } from './public-modules.ts';
import type { Ends } from './subcommand.ts';

/** Seconds that it may take if `--timeout` does not say otherwise: the wait for the others counts as well. */
const NODE_TIMEOUT = 120;
const NODE_DEADLINE = 30;

/** Adds `kvm-dsm node`. */
export function addNodeCommand(program: Command, ends: Ends): void {
  withGlobalOptions(program.command('node'), NODE_TIMEOUT)
    .description(
      'run a script as one of several processes, or lab machines, each with some of the vCPUs: docs/nodes.md',
    )
    .argument('<script>')
    .argument('[args...]', "the script's own arguments; options among them go behind --")
    .addOption(
      new Option('--vcpus <list>', 'those that run here, such as 0,1').argParser(vcpuList).makeOptionMandatory(),
    )
    .addOption(
      new Option('--of <n>', 'how many vCPUs each machine of the script has')
        .argParser(integer(1, 64))
        .makeOptionMandatory(),
    )
    .addOption(new Option('--nats <url>', 'the NATS server, as nats://host:port').makeOptionMandatory())
    .option('--nats-options <file>', "more of the client's options, as JSON: user, pass, token, tls")
    .addOption(
      new Option('--vm <name>', 'the same for all that belong together, and for nobody else')
        .default('vm')
        .argParser(vmName),
    )
    .addOption(
      new Option('--deadline <s>', 'seconds to wait for the others')
        .default(NODE_DEADLINE)
        .argParser(integer(1, 86_000)),
    )
    .addOption(seedOption())
    .addOption(new Option('--trace <file>', 'write all that happens here to this file: docs/trace.md'))
    .addOption(quietOption("print no exits: only the script's own output, findings and the result"))
    .action(async (script: string, args: string[], _options, command: Command) => {
      const { runNode } = await import('../runner/node-command.ts');
      ends(await runNode(script, args, globalOptionsOf<NodeCommandOptions>(command), publicModules));
    });
}

function vcpuList(text: string): number[] {
  const ids = text.split(',');
  if (ids.every((id) => /^\d{1,2}$/.test(id) && Number(id) < 64)) return ids.map(Number);
  throw new InvalidArgumentError('Give vcpu_ids from 0 to 63 with commas between them, such as 0,1.');
}

function vmName(text: string): string {
  if (/^[\w-]{1,40}$/.test(text)) return text;
  throw new InvalidArgumentError('Give letters, digits and dashes, 40 at most.');
}
