/** `kvm-dsm node`: a script as one shard of the machines that it makes. */
import { readFileSync } from 'node:fs';
import { ArgumentError } from '../base/errors.ts';
import { laneNamed } from '../lab/index.ts';
import { openTransport } from '../node/open-transport.ts';
import type { NatsOptions } from '../node/transports/nats.ts';
import type { GlobalOptions } from '../target/options.ts';
import { LINE_DESCRIPTOR } from '../target/own-process.ts';
import { chooseTarget, type Target } from '../target/target.ts';
import type { PublicModules } from './bundle/public-modules.ts';
import { type RunCommandOptions, runDefaults } from './options.ts';
import { isDebugged, runScript } from './run.ts';
import { findScript } from './script-file.ts';

/** The values of its options. */
export interface NodeCommandOptions extends GlobalOptions {
  /** vcpu_id of each that runs here. */
  vcpus: number[];
  of: number;
  nats: string;
  natsOptions?: string;
  vm: string;
  /** Seconds. */
  deadline: number;
  seed?: number;
  trace?: string;
  quiet: boolean;
}

/** Runs the shard where the options say; returns the exit code. */
export async function runNode(
  script: string,
  args: string[],
  given: NodeCommandOptions,
  modules: PublicModules,
): Promise<number> {
  const { vcpus, of, nats, natsOptions, vm, deadline, ...same } = given;
  checkVcpus(vcpus, of);
  if (deadline >= same.timeout)
    throw new ArgumentError(
      '--deadline',
      `--deadline ${deadline} leaves no time of --timeout ${same.timeout}`,
      'Give a longer --timeout.',
    );
  findScript(script);
  const target = chooseTarget(same);
  const line = lineOf(target);
  const client = natsOptions === undefined ? undefined : readClientOptions(natsOptions);
  const transport = await openTransport('--nats', nats, vm, client);
  const options: RunCommandOptions = {
    ...same,
    ...runDefaults,
    on: target,
    watch: false,
    timings: false,
    shard: { vm, vcpus, of, deadline: deadline * 1000, line },
  };
  try {
    return await runScript(script, args, options, modules, transport);
  } finally {
    await transport.close();
  }
}

function checkVcpus(vcpus: readonly number[], of: number): void {
  const advice = `Give some of the vCPUs 0 to ${of - 1}, each once.`;
  const outside = vcpus.find((vcpu) => vcpu >= of);
  if (outside !== undefined)
    throw new ArgumentError('--vcpus', `--vcpus names vCPU ${outside}, and --of says that there are ${of}`, advice);
  const twice = vcpus.find((vcpu, at) => vcpus.indexOf(vcpu) !== at);
  if (twice !== undefined) throw new ArgumentError('--vcpus', `--vcpus names vCPU ${twice} twice`, advice);
}

/** How the script's process is reached from this one. */
function lineOf(target: Target): number | string {
  if (target === 'host') {
    if (!isDebugged) return LINE_DESCRIPTOR;
    throw new ArgumentError(
      'node',
      'A node runs in a process of its own, which a debugger of this one does not see',
      'Leave --inspect out, or debug the script by `kvm-dsm run`.',
    );
  }
  const lane = laneNamed(target);
  if (lane.nodeLine !== null) return lane.nodeLine;
  throw new ArgumentError('--on', `${lane.title} has no line for a node`, 'Add --on svm.');
}

/** @throws ArgumentError if the file holds no JSON object */
function readClientOptions(path: string): NonNullable<NatsOptions['client']> {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new ArgumentError('--nats-options', `${path}: ${(error as Error).message}`, OPTIONS_ADVICE);
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  throw new ArgumentError('--nats-options', `${path} holds no JSON object`, OPTIONS_ADVICE);
}

const OPTIONS_ADVICE = 'Give a file of JSON with options of @nats-io/transport-node: user, pass, token, tls.';
