/** `kvm-dsm explore`: random histories against the model of the local APIC, here or in a lane. */
import { ArgumentError } from '../base/errors.ts';
import { plural } from '../base/text.ts';
import { Kvm } from '../kvm/kvm.ts';
import { type GlobalOptions, placeArguments } from '../target/options.ts';
import { print } from '../target/output.ts';
import { profileFor, tellOnStderr } from '../target/profile.ts';
import { progress, withProgress } from '../target/progress.ts';
import { withSignals } from '../target/signals.ts';
import { chooseTarget, currentTarget, describeTarget } from '../target/target.ts';
import { describeTotals, documentOf, type ExploreDocument, type ExploreTotals, textOf } from './report.ts';

/** Its options beside the global ones. */
export interface ExploreCommandOptions extends GlobalOptions {
  seed?: number;
  /** Seconds. */
  for: number;
  histories?: number;
  vcpus: number;
  replay?: string;
  /** Inside a lane: what it finds goes out as events, one a line. */
  events: boolean;
}

/** What comes out of a lane. */
type ExploreEvent =
  | { type: 'begin'; where: string }
  | ({ type: 'progress' } & ExploreTotals)
  | { type: 'end'; document: ExploreDocument };

interface Wanted {
  seed: number;
  vcpus: number;
  path?: string;
}

/** What the lab may need beside the time of the histories, in seconds: to boot, and to make a difference small. */
const BESIDE = 120;

/** Explores; 0: no difference, 1: one. */
export async function exploreCommand(options: ExploreCommandOptions): Promise<number> {
  const wanted = options.replay === undefined ? drawn(options) : readReplay(options.replay);
  const target = chooseTarget(options);
  const told = new Teller(options, wanted);
  try {
    if (target === 'host') await withSignals((signal) => here(options, wanted, signal, told));
    else return await inLane(target, wanted, options, told);
  } catch (error) {
    told.interrupted();
    throw error;
  }
  return told.found ? 1 : 0;
}

const drawn = ({ seed, vcpus }: ExploreCommandOptions): Wanted => ({
  seed: seed ?? Math.floor(Math.random() * 0x7fff_ffff),
  vcpus,
});

function readReplay(text: string): Wanted {
  const found = /^([1-4])v(\d+):(\d+(?::\d+)*)$/.exec(text);
  if (found) return { vcpus: Number(found[1]), seed: Number(found[2]), path: found[3]! };
  throw new ArgumentError(
    '--replay',
    `--replay ${text} names no difference`,
    'Give what a difference has told: <vCPUs>v<seed>:<path>, such as 2v7:13:0:1.',
  );
}

/** Tells what comes: to a person, as a document, or as events. */
class Teller {
  readonly #options: ExploreCommandOptions;
  readonly #wanted: Wanted;
  #totals: ExploreTotals | null = null;
  found = false;

  constructor(options: ExploreCommandOptions, wanted: Wanted) {
    this.#options = options;
    this.#wanted = wanted;
  }

  take(event: ExploreEvent): void {
    const { json, events } = this.#options;
    if (event.type === 'progress') this.#totals = event;
    if (event.type === 'end') {
      this.#totals = null;
      this.found = event.document.difference !== null;
    }
    if (events) print(`${JSON.stringify(event)}\n`);
    else if (event.type === 'progress') progress(describeTotals(event));
    else if (event.type === 'begin') {
      const { seed, vcpus, path } = this.#wanted;
      if (json) return;
      const what = path === undefined ? `seed ${seed}` : 'a difference again';
      print(`exploring ${plural(vcpus, 'vCPU')} on ${event.where}, ${what}\n`);
    } else print(json ? `${JSON.stringify(event.document)}\n` : textOf(event.document, placeArguments(this.#options)));
  }

  /** What there was so far. */
  interrupted(): void {
    if (!this.#totals || this.#options.events) return;
    process.stderr.write(`no difference so far: ${describeTotals(this.#totals)}, seed ${this.#wanted.seed}\n`);
  }
}

async function here(
  options: ExploreCommandOptions,
  { seed, vcpus, path }: Wanted,
  signal: AbortSignal,
  told: Teller,
): Promise<void> {
  const { explore } = await import('./explore.ts');
  const profile = profileFor(options, tellOnStderr);
  using kvm = Kvm.open(options.device, { profile });
  told.take({ type: 'begin', where: describeTarget() });
  const explored = await withProgress(options, () =>
    explore(kvm, {
      vcpus,
      seed,
      ...(path === undefined ? {} : { path }),
      histories: options.histories ?? Number.POSITIVE_INFINITY,
      limit: options.for * 1000,
      onProgress: (totals) => told.take({ type: 'progress', ...totals }),
      signal,
    }),
  );
  told.take({ type: 'end', document: documentOf(explored, { ...currentTarget, seed, vcpus }) });
}

async function inLane(
  lane: 'svm' | 'vmx',
  { seed, vcpus }: Wanted,
  options: ExploreCommandOptions,
  told: Teller,
): Promise<number> {
  const { runInLane } = await import('../target/in-lane.ts');
  const { LineWriter } = await import('../runner/suite/line-writer.ts');
  const { profile, device, histories, replay } = options;
  const own = [
    ...['--on', 'host', '--profile', profile, '--device', device, '--events', '--for', `${options.for}`],
    ...(replay === undefined ? ['--seed', `${seed}`, '--vcpus', `${vcpus}`] : ['--replay', replay]),
    ...(histories === undefined ? [] : ['--histories', `${histories}`]),
  ];
  const work = { what: 'exploring', argv: ['explore', ...own] };
  const stdout = new LineWriter((line) => told.take(JSON.parse(line) as ExploreEvent));
  const timeout = Math.max(options.timeout, options.for + BESIDE);
  return runInLane(lane, work, { ...options, timeout }, { stdout });
}
