/** `kvm-dsm explore`: random histories against the model of the local APIC, here or in a lane. */
import { ArgumentError } from '../base/errors.ts';
import { plural } from '../base/text.ts';
import { Kvm } from '../kvm/kvm.ts';
import type { GlobalOptions } from '../target/options.ts';
import { print } from '../target/output.ts';
import { profileFor, tellOnStderr } from '../target/profile.ts';
import { chooseTarget, describeTarget } from '../target/target.ts';
import { explore } from './explore.ts';
import { jsonOf, textOf } from './report.ts';

/** Its options beside the global ones. */
export interface ExploreCommandOptions extends GlobalOptions {
  seed?: number;
  /** Seconds. */
  for: number;
  histories?: number;
  vcpus: number;
  replay?: string;
}

/** What the lab may need beside the time of the histories, in seconds: to boot, and to make a difference small. */
const BESIDE = 120;

/** Explores; 0: no difference, 1: one. */
export async function exploreCommand(options: ExploreCommandOptions): Promise<number> {
  const replay = options.replay === undefined ? undefined : readReplay(options.replay);
  const seed = replay?.seed ?? options.seed ?? Math.floor(Math.random() * 0x7fff_ffff);
  const target = chooseTarget(options);
  if (target !== 'host') return inLane(target, seed, options);
  const profile = profileFor(options, tellOnStderr);
  using kvm = Kvm.open(options.device, { profile });
  const head = `${plural(options.vcpus, 'vCPU')} on ${describeTarget()}, seed ${seed}`;
  if (!options.json) print(`exploring ${head}\n`);
  const explored = await explore(kvm, {
    vcpus: replay?.vcpus ?? options.vcpus,
    seed,
    ...(replay === undefined ? {} : { path: replay.path }),
    histories: options.histories ?? Number.POSITIVE_INFINITY,
    limit: options.for * 1000,
    onProgress() {},
    isOver: () => false,
  });
  print(options.json ? `${JSON.stringify(jsonOf(explored, seed, options.vcpus))}\n` : textOf(explored, options.vcpus));
  return explored.found ? 1 : 0;
}

function readReplay(text: string): { seed: number; path: string; vcpus: number } {
  const found = /^(\d+)v(-?\d+):(\d+(?::\d+)*)$/.exec(text);
  if (found) return { vcpus: Number(found[1]), seed: Number(found[2]), path: found[3]! };
  throw new ArgumentError(
    '--replay',
    `--replay ${text} is none`,
    'Give what a difference has told: <vCPUs>v<seed>:<path>, such as 2v7:13:0:1.',
  );
}

async function inLane(lane: 'svm' | 'vmx', seed: number, options: ExploreCommandOptions): Promise<number> {
  const { runInLane } = await import('../target/in-lane.ts');
  const { profile, device, json, vcpus, histories, replay } = options;
  const own = [
    ...['--on', 'host', '--profile', profile, '--device', device, '--vcpus', `${vcpus}`, '--for', `${options.for}`],
    ...(replay === undefined ? ['--seed', `${seed}`] : ['--replay', replay]),
    ...(histories === undefined ? [] : ['--histories', `${histories}`]),
    ...(json ? ['--json'] : []),
  ];
  const work = { what: 'exploring', argv: ['explore', ...own] };
  return runInLane(lane, work, { ...options, timeout: Math.max(options.timeout, options.for + BESIDE) });
}
