/** `kvm-dsm explore --opinions`: what several local APICs make of the same guest, and who stands alone. */
import { readFileSync } from 'node:fs';
import { ArgumentError } from '../../base/errors.ts';
import { type GlobalOptions, placeArguments } from '../../target/options.ts';
import { print } from '../../target/output.ts';
import { withProgress } from '../../target/progress.ts';
import { withSignals } from '../../target/signals.ts';
import { ask, nameHere, textHere } from './ask.ts';
import { compareHistory, keyOf, type OpinionDifference, type OpinionName, opinionNames } from './compare.ts';
import { drawHistories } from './draw.ts';
import { bytesOf, type OwnHistory, ROOM } from './guest.ts';
import { knownWays } from './known.ts';
import { documentOf, textOf } from './report.ts';
import { smaller } from './smaller.ts';

/** Its options beside the global ones. */
export interface OpinionsOptions extends GlobalOptions {
  /** Who is asked; true: everyone. */
  opinions: string | true;
  seed?: number;
  histories?: number;
  replay?: string;
  /** Inside a lane: what is to be run there. */
  rom?: string;
}

const HISTORIES = 100;

/** Asks; 0: they agree but for what is known of them, 1: they do not. */
export async function opinionsCommand(options: OpinionsOptions): Promise<number> {
  if (options.rom !== undefined) {
    print(textHere(readFileSync(options.rom), options));
    return 0;
  }
  const names = namesOf(options);
  const { seed, histories } = drawn(options);
  if (bytesOf(histories) > ROOM)
    throw new ArgumentError('--histories', `${histories.length} histories do not fit into one boot`, 'Give fewer.');
  const began = performance.now();
  const askAbout = async (some: readonly OwnHistory[], signal: AbortSignal) => {
    const told = await ask(names, some, options, signal);
    const differences = some.map((one, at) =>
      compareHistory(at, one, new Map([...told].map(([name, all]) => [name, all[at]!])), knownWays),
    );
    return { differences, withoutX2apic: names.filter((name) => told.get(name)!.includes(null)) };
  };
  const { differences, small, withoutX2apic } = await withSignals((signal) =>
    withProgress(options, async () => {
      const { differences, withoutX2apic } = await askAbout(histories, signal);
      const kinds = new Map<string, OpinionDifference>();
      for (const one of differences.flat())
        if (one.known.length === 0 && !kinds.has(keyOf(one))) kinds.set(keyOf(one), one);
      const small = await smaller(
        [...kinds.values()],
        histories,
        async (some) => (await askAbout(some, signal)).differences,
      );
      return { differences: differences.flat(), small, withoutX2apic };
    }),
  );
  const ms = performance.now() - began;
  const document = documentOf({ seed, names, withoutX2apic, histories, differences, small, ms });
  print(options.json ? `${JSON.stringify(document)}\n` : textOf(document, placeArguments(options)));
  return document.differences.length > 0 ? 1 : 0;
}

function namesOf({ opinions, ...options }: OpinionsOptions): OpinionName[] {
  const asked = opinions === true ? [...opinionNames] : opinions.split(',');
  const odd = asked.find((name) => !(opinionNames as readonly string[]).includes(name));
  if (odd !== undefined)
    throw new ArgumentError('--opinions', `--opinions ${odd}: nobody of that name`, `Name ${opinionNames.join(', ')}.`);
  const kvm = options.on === 'auto' ? null : options.on === 'host' ? nameHere(options) : options.on;
  const names = opinionNames.filter(
    (name) => asked.includes(name) && (kvm === null || name === kvm || (name !== 'vmx' && name !== 'svm')),
  );
  if (names.length < 2)
    throw new ArgumentError(
      '--opinions',
      'one opinion differs from none',
      `Name two or more of ${opinionNames.join(', ')}.`,
    );
  return names;
}

function drawn({ seed, histories, replay }: OpinionsOptions): { seed: number; histories: OwnHistory[] } {
  if (replay === undefined) {
    const own = seed ?? Math.floor(Math.random() * 0x7fff_ffff);
    return { seed: own, histories: drawHistories(own, histories ?? HISTORIES) };
  }
  const found = /^1v(\d+):(\d{1,4})$/.exec(replay);
  if (!found)
    throw new ArgumentError(
      '--replay',
      `--replay ${replay} names no history`,
      'Give what a difference has told: 1v<seed>:<history>, such as 1v7:13.',
    );
  const number = Number(found[2]);
  const all = drawHistories(Number(found[1]), number + 1);
  return { seed: Number(found[1]), histories: all.filter((one) => one.number === number) };
}
