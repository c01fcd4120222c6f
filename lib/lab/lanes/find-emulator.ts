/** The emulator of a lane: found, asked what it is, and remembered. */
import { existsSync, mkdirSync, readFileSync, realpathSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { findProgram, programFolders } from '../../host/programs.ts';
import { LabEmulatorError } from '../errors.ts';
import { cacheDir, emulatorsFile } from '../paths.ts';
import { ask } from './ask.ts';
import { lanes } from './index.ts';
import type { Emulator, EmulatorKind, Lane } from './lane.ts';

/** The emulator for a lane: the given binary, else the one that the PATH has. Throws a LabEmulatorError otherwise. */
export function findEmulator(lane: Lane, given?: string): Emulator {
  const { binary, kind } = lane.emulator;
  const path = given === undefined ? installed(lane) : given.includes('/') ? resolve(given) : onPath(given);
  if (!path || !existsSync(path)) {
    throw new LabEmulatorError(`the emulator ${given ?? binary} for the ${lane.name} lane is not there`, {
      advice: given
        ? 'Check the path given by --emulator.'
        : 'Run `kvm-dsm lab build`: it installs what is missing, or says what has it.',
    });
  }
  const emulator = identify(realpathSync(path));
  if (emulator.kind !== kind) {
    const each = kinds().map(({ title, emulates }) => `${title} emulates ${emulates}`);
    throw new LabEmulatorError(`${path} is ${emulator.kind}, and the ${lane.name} lane needs ${kind}`, {
      advice: `${each.join(', ')}: choose the other lane or the other binary.`,
    });
  }
  return emulator;
}

function onPath(name: string, folders: readonly string[] = []): string | undefined {
  return findProgram(name, [...programFolders(), '/usr/bin', '/usr/local/bin', ...folders]);
}

function installed({ emulator: { binary, elsewhere } }: Lane): string | undefined {
  return [binary, ...elsewhere.names].map((name) => onPath(name, elsewhere.folders)).find((path) => path !== undefined);
}

/** Those that some lane takes, each once. */
function kinds(): EmulatorKind[] {
  return [...new Map(lanes.map(({ emulator }) => [emulator.kind, emulator])).values()];
}

/** Finds out what a binary is. Asked once per binary: the answer is kept while its size and time stay. */
function identify(path: string): Emulator {
  const { size, mtimeMs } = statSync(path);
  const stamp = `${size} ${mtimeMs}`;
  const known = readKnown();
  const found = known[path];
  if (found?.stamp === stamp && found.recipe === recipe && found.emulator?.path === path && stillHolds(found.emulator))
    return found.emulator;
  const emulator = identifyNow(path);
  remember({ ...known, [path]: { stamp, recipe, emulator } });
  return emulator;
}

/** Only saves the time of asking: it need not succeed. */
function remember(known: Known): void {
  try {
    mkdirSync(cacheDir(), { recursive: true });
    const file = emulatorsFile();
    // By a rename, for those who read it meanwhile.
    writeFileSync(`${file}.new`, `${JSON.stringify(known, null, 2)}\n`);
    renameSync(`${file}.new`, file);
  } catch {
    // The cache is another's or full.
  }
}

/** Raised when the questions change. */
const recipe = 2;

type Known = Record<string, { stamp: string; recipe: number; emulator: Emulator }>;

function readKnown(): Known {
  try {
    const known: unknown = JSON.parse(readFileSync(emulatorsFile(), 'utf8'));
    return typeof known === 'object' && known !== null ? (known as Known) : {};
  } catch {
    return {};
  }
}

function stillHolds(emulator: Emulator): boolean {
  return kinds().some(({ kind, stillHolds }) => kind === emulator.kind && stillHolds(emulator));
}

function identifyNow(path: string): Emulator {
  const help = ask(path, ['--help']);
  const found = kinds().find((kind) => kind.recognizes(help));
  if (found) return found.probe(path, help);
  throw new LabEmulatorError(
    `${path} is neither ${kinds()
      .map(({ title }) => title)
      .join(' nor ')}`,
    {
      advice: `\`${path} --help\` has to print the help of one of them.`,
    },
  );
}
