// Where cases are measured: on a host's /dev/kvm, or in one boot of a lane of the lab.
import { spawn } from 'node:child_process';
import { accessSync, constants, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { nodeInside, packageInside, runInLab } from '../lib/lab/index.ts';
import { staticReference } from './build-c.ts';
import { bundle } from './bundle.ts';
import { guestArguments } from './cases/guest.ts';
import type { InsideWork } from './inside.ts';
import type { Effort, Measured } from './turns.ts';

export const places = ['host', 'svm', 'vmx'] as const;
export type Place = (typeof places)[number];

const root = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');

/** Why nothing can be measured there, or null. */
export function missingKvm(): string | null {
  try {
    accessSync('/dev/kvm', constants.R_OK | constants.W_OK);
    return null;
  } catch (error) {
    return `/dev/kvm cannot be opened (${(error as NodeJS.ErrnoException).code})`;
  }
}

/** Measures the cases there, in turns, and hands each over when it is done. */
export async function measureAt(
  place: Place,
  cases: readonly string[],
  effort: Effort,
  onMeasured: (measured: Measured) => void,
): Promise<void> {
  const kit: KitOf = (folder, node, packageRoot) => kitOf(folder, node, packageRoot, cases, effort);
  await runAt(place, 'bench', kit, (line) => onMeasured(JSON.parse(line)));
}

/** The files of a bench, and the command that works on them. */
export interface BenchKit {
  readonly command: readonly string[];
  readonly files: readonly {
    readonly path: string;
    readonly data: string | Uint8Array;
    readonly executable?: boolean;
  }[];
}

/** Makes it for the folder in which the files will lie, with node and the package as they are there. */
export type KitOf = (folder: string, node: string, packageRoot: string) => BenchKit;

function kitOf(folder: string, node: string, packageRoot: string, cases: readonly string[], effort: Effort): BenchKit {
  const inside = (name: string) => join(folder, name);
  const work: InsideWork = {
    ...effort,
    cases,
    ours: [node, '--expose-gc', inside('worker.mjs')],
    reference: [inside('reference'), ...guestArguments],
  };
  return {
    command: [node, inside('inside.mjs'), JSON.stringify(work)],
    files: [
      { path: inside('worker.mjs'), data: bundle('cases/worker.ts', packageRoot) },
      { path: inside('inside.mjs'), data: bundle('inside.ts', packageRoot) },
      { path: inside('reference'), data: readFileSync(staticReference()), executable: true },
    ],
  };
}

/** Runs a bench there, in a folder of that name, and hands over each line that it prints. */
export async function runAt(place: Place, name: string, kit: KitOf, onLine: (line: string) => void): Promise<void> {
  if (place === 'host') return await onHost(kit, onLine);
  return await inLane(place, kit(`/run/kvm-dsm/${name}`, nodeInside, packageInside), onLine);
}

async function inLane(
  lane: Exclude<Place, 'host'>,
  { command, files }: BenchKit,
  onLine: (line: string) => void,
): Promise<void> {
  const { exitCode } = await runInLab({
    lane,
    argv: [],
    program: command,
    files,
    stdout: lines(onLine),
    stderr: process.stderr,
    report: (line) => process.stderr.write(`${line}\n`),
    timeoutSeconds: 3600,
  });
  if (exitCode !== 0) throw new Error(`the bench ended with ${exitCode} in the lab`);
}

async function onHost(kit: KitOf, onLine: (line: string) => void): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'kvm-dsm-bench-'));
  try {
    const { command, files } = kit(folder, process.execPath, root);
    for (const { path, data, executable } of files) writeFileSync(path, data, { mode: executable ? 0o755 : 0o644 });
    const [program, ...args] = command as [string, ...string[]];
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    child.stdout.pipe(lines(onLine));
    const code = await new Promise<number | null>((resolve, reject) => child.on('error', reject).on('close', resolve));
    if (code !== 0) throw new Error(`the bench ended with ${code}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Takes whole lines of it. */
function lines(onLine: (line: string) => void): Writable {
  let rest = '';
  return new Writable({
    decodeStrings: false,
    write(text: string | Buffer, _encoding, done) {
      const all = (rest + text.toString()).split(/\r?\n/);
      rest = all.pop()!;
      for (const line of all) if (line !== '') onLine(line);
      done();
    },
  });
}
