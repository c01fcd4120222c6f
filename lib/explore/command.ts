/** `kvm-dsm explore`: random histories against the model of the local APIC, here or in a lane. */
import { availableParallelism } from 'node:os';
import { ArgumentError } from '../base/errors.ts';
import { plural } from '../base/text.ts';
import { Kvm } from '../kvm/kvm.ts';
import { type GlobalOptions, placeArguments } from '../target/options.ts';
import { print } from '../target/output.ts';
import { profileFor, tellOnStderr } from '../target/profile.ts';
import { progress, withProgress } from '../target/progress.ts';
import { withSignals } from '../target/signals.ts';
import { chooseTarget, currentTarget, describeTarget } from '../target/target.ts';
import type { ExploreEvent } from './crew.ts';
import { describeTotals, documentOf, type ExploreTotals, textOf } from './report.ts';

/** Its options beside the global ones. */
export interface ExploreCommandOptions extends GlobalOptions {
  seed?: number;
  /** Seconds. */
  for: number;
  histories?: number;
  vcpus: number;
  replay?: string;
  /** Processes that explore side by side. */
  jobs?: number;
  /** One of these: which, of how many. */
  turn?: ExploreTurn;
  /** Inside a lane: what it finds goes out as events, one a line. */
  events: boolean;
}

/** One of several processes takes each of the seeds whose turn it is. */
export interface ExploreTurn {
  readonly at: number;
  readonly of: number;
}

interface Wanted {
  seed: number;
  vcpus: number;
  path?: string;
}

/** So many processes at most by themselves. */
const MOST_JOBS = 8;
/** What makes up for the start of one. */
const WORTH = { histories: 200, seconds: 10 };

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
    } else if (event.type === 'end')
      print(json ? `${JSON.stringify(event.document)}\n` : textOf(event.document, placeArguments(this.#options)));
  }

  /** What there was so far. */
  interrupted(): void {
    if (!this.#totals || this.#options.events) return;
    process.stderr.write(`no difference so far: ${describeTotals(this.#totals)}, seed ${this.#wanted.seed}\n`);
  }
}

async function here(options: ExploreCommandOptions, wanted: Wanted, signal: AbortSignal, told: Teller): Promise<void> {
  const { seed, vcpus, path } = wanted;
  const { turn, histories } = options;
  const { BATCH, explore } = await import('./explore.ts');
  const profile = profileFor(options, tellOnStderr);
  using kvm = Kvm.open(options.device, { profile });
  if (turn === undefined) told.take({ type: 'begin', where: describeTarget() });
  const jobs = turn === undefined && path === undefined ? jobsFor(options, BATCH) : 1;
  if (jobs > 1) return await together(options, wanted, { jobs, profile: profile.name, signal }, told);
  const explored = await withProgress(options, () =>
    explore(kvm, {
      vcpus,
      seed,
      turn: turn ?? { at: 0, of: 1 },
      ...(path === undefined ? {} : { path }),
      histories: histories ?? Number.POSITIVE_INFINITY,
      limit: options.for * 1000,
      onProgress: (totals) => told.take({ type: 'progress', ...totals }),
      onFound: () => told.take({ type: 'found' }),
      signal,
    }),
  );
  told.take({ type: 'end', document: documentOf(explored, { ...currentTarget, seed, vcpus }) });
}

/** As many as there are CPUs, where each has enough to do for its start. */
function jobsFor(options: ExploreCommandOptions, batch: number): number {
  const { jobs, histories = Number.POSITIVE_INFINITY } = options;
  if (jobs !== undefined) return Math.min(jobs, Math.ceil(histories / batch));
  const worth = Math.min(histories / WORTH.histories, options.for / WORTH.seconds);
  return Math.max(1, Math.floor(Math.min(availableParallelism(), MOST_JOBS, worth)));
}

async function together(
  options: ExploreCommandOptions,
  { seed, vcpus }: Wanted,
  { jobs, profile, signal }: { jobs: number; profile: string; signal: AbortSignal },
  told: Teller,
): Promise<void> {
  const { exploreTogether } = await import('./crew.ts');
  const { device, histories } = options;
  const argsOf = (at: number) => {
    const most = histories === undefined ? [] : ['--histories', `${shareOf(histories, at, jobs)}`];
    const place = ['--on', 'host', '--profile', profile, '--device', device];
    const what = ['--seed', `${seed}`, '--vcpus', `${vcpus}`, '--for', `${options.for}`, ...most];
    return ['explore', '--events', '--turn', `${at}/${jobs}`, ...place, ...what];
  };
  const document = await withProgress(options, () =>
    exploreTogether(jobs, argsOf, signal, (totals) => told.take({ type: 'progress', ...totals })),
  );
  told.take({ type: 'end', document: { ...document, ...currentTarget } });
}

const shareOf = (all: number, at: number, of: number) => Math.floor(all / of) + (at < all % of ? 1 : 0);

async function inLane(
  lane: 'svm' | 'vmx',
  { seed, vcpus }: Wanted,
  options: ExploreCommandOptions,
  told: Teller,
): Promise<number> {
  const { runInLane } = await import('../target/in-lane.ts');
  const { LineWriter } = await import('../runner/suite/line-writer.ts');
  const { profile, device, histories, replay, jobs } = options;
  const own = [
    ...['--on', 'host', '--profile', profile, '--device', device, '--events', '--for', `${options.for}`],
    ...(replay === undefined ? ['--seed', `${seed}`, '--vcpus', `${vcpus}`] : ['--replay', replay]),
    ...(histories === undefined ? [] : ['--histories', `${histories}`]),
    ...(jobs === undefined ? [] : ['--jobs', `${jobs}`]),
  ];
  const work = { what: 'exploring', argv: ['explore', ...own] };
  const stdout = new LineWriter((line) => told.take(JSON.parse(line) as ExploreEvent));
  const timeout = Math.max(options.timeout, options.for + BESIDE);
  return runInLane(lane, work, { ...options, timeout }, { stdout });
}
