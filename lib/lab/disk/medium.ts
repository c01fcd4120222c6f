/** The data disk, which holds this machine's Node.js and this package. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { codeDir, packageRoot } from '../../base/package.ts';
import { programEnvironment } from '../../host/programs.ts';
import { keepLastUsed, makingFolder, markUsed } from '../cached.ts';
import { LabBuildError, LabEmulatorError } from '../errors.ts';
import { spaceError } from '../file-errors.ts';
import { listFiles } from '../kernel/key.ts';
import { lock } from '../lock.ts';
import { cacheDir, mediaDir } from '../paths.ts';
import type { Report } from '../progress.ts';
import { mediumMount, mediumStamp, packageInside } from './init.ts';
import { makeIso } from './iso.ts';
import { bundlePackage } from './package-bundle.ts';

/** The data disk: one file, which any number of machines may read. */
export interface Medium {
  path: string;
  /** What has to exist inside so that its programs find their libraries. */
  links: { path: string; target: string }[];
}

const addonInside = '/build/Release/kvm_dsm.node';

/** Raised when the disk's layout changes. */
const recipe = 9;
/** Each has this machine's Node.js, some 100 MB: other ones stay while somebody works with them in turns, as from two checkouts. */
const keptMedia = 3;
const IN_TURNS = 60 * 60_000;

/** The disk that holds this machine's Node.js and this package; made when it is not in the cache. */
export async function prepareMedium(report: Report): Promise<Medium> {
  const addon = findAddon();
  const libraries = sharedLibraries([process.execPath, addon]);
  const grafts = new Map([
    ['/node', realpathSync(process.execPath)],
    ['/pkg/package.json', join(packageRoot, 'package.json')],
    [`/pkg${addonInside}`, addon],
    ...dependencyFiles('iced-x86'),
    ...libraries.map((path): [string, string] => [`/lib/${basename(path)}`, realpathSync(path)]),
  ]);
  const links = libraries.map((path) => ({ path, target: `${mediumMount}/lib/${basename(path)}` }));
  const key = mediumKey(grafts);
  const path = join(mediaDir(), `${key}.iso`);
  if (!isWhole(path, key)) await writeOnce(path, key, grafts, report);
  try {
    markUsed(path);
    // A machine that runs keeps its own open.
    keepLastUsed(mediaDir(), basename(path), keptMedia, (name) => name.endsWith('.iso'), IN_TURNS);
  } catch {
    // In another user's cache that one keeps order.
  }
  return { path, links };
}

function findAddon(): string {
  try {
    const load = createRequire(import.meta.url)('node-gyp-build') as { path(dir: string): string };
    return realpathSync(load.path(packageRoot));
  } catch (cause) {
    throw new LabBuildError('the addon of this package is not built, so the lab cannot bring it into the guest', {
      advice: 'Run `npm run build:native` in the package, or install it again.',
      cause,
    });
  }
}

/** An npm package that the bundle leaves out since it is loaded only when it is used: its code and data, unbundled. */
function dependencyFiles(name: string): [string, string][] {
  const dir = dirname(createRequire(import.meta.url).resolve(`${name}/package.json`));
  const files = readdirSync(dir).filter((file) => /\.(json|js|wasm)$/.test(file));
  return files.map((file) => [`/pkg/node_modules/${name}/${file}`, join(dir, file)]);
}

/** The shared libraries that programs load, at the paths where they look for them. */
export function sharedLibraries(programs: readonly string[]): string[] {
  const found = new Set<string>();
  for (const program of programs) {
    const answer = spawnSync('ldd', [program], { encoding: 'utf8', env: programEnvironment() });
    if (answer.status !== 0 && !/not a dynamic executable|statically linked/.test(`${answer.stdout}${answer.stderr}`)) {
      throw new LabEmulatorError(`ldd ${program} failed: ${answer.stderr}`, { advice: 'Install libc-bin.' });
    }
    for (const path of readLdd(answer.stdout)) found.add(path);
  }
  return [...found];
}

/** Reads ldd's lines: `name => /path (0x...)` and `/path (0x...)`. */
export function readLdd(text: string): string[] {
  return [...text.matchAll(/^\s+(?:\S+ => )?(\/\S+) \(0x[0-9a-f]+\)$/gm)].map((match) => match[1]!);
}

function mediumKey(grafts: Map<string, string>): string {
  const hash = createHash('sha256').update(`recipe ${recipe}\n`);
  const add = (name: string, path: string) => {
    const { size, mtimeMs } = statSync(path);
    hash.update(`${name} ${path} ${size} ${mtimeMs}\n`);
  };
  for (const [name, path] of grafts) add(name, path);
  for (const file of listFiles(codeDir)) if (!/\.(map|d\.ts)$/.test(file)) add(file, join(codeDir, file));
  return hash.digest('hex').slice(0, 16);
}

/** The label of a disk: what it was made from. xorriso writes it in capitals. */
const label = (key: string) => `KVM-DSM ${key.toUpperCase()}`;

/**
 * True if a disk has the size that its own descriptor tells, and the label. Its 100 MB are not read: a checksum of them takes
 * a third of a second, of every run.
 *
 * Source: ECMA-119, 8.4 (primary volume descriptor): volume space size, application identifier.
 */
function isWhole(path: string, key: string): boolean {
  const sector = 2048;
  const descriptor = Buffer.alloc(sector);
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch {
    return false;
  }
  try {
    if (readSync(fd, descriptor, 0, sector, 16 * sector) !== sector) return false;
    const bytes = descriptor.readUInt32LE(80) * sector;
    const application = descriptor.toString('latin1', 574, 702).trimEnd();
    return fstatSync(fd).size === bytes && application === label(key);
  } finally {
    closeSync(fd);
  }
}

/** Makes the disk, unless another process does so at this moment. */
async function writeOnce(path: string, key: string, grafts: Map<string, string>, report: Report): Promise<void> {
  mkdirSync(mediaDir(), { recursive: true });
  const held = await lock(mediaDir(), () => {});
  try {
    if (isWhole(path, key)) return;
    if (existsSync(path)) report(`${path} is damaged: it is made anew`);
    await writeMedium(path, key, grafts);
  } finally {
    await held.release();
  }
}

async function writeMedium(path: string, key: string, grafts: Map<string, string>): Promise<void> {
  const work = makingFolder(cacheDir(), 'medium-');
  try {
    await bundlePackage(join(work, 'pkg')).catch((error) => {
      throw spaceError('the package on the disk', String(error?.message ?? error)) ?? error;
    });
    for (const file of listFiles(join(work, 'pkg'))) grafts.set(`/pkg/${file}`, join(work, 'pkg', file));
    const write = (name: string, text: string) => {
      const path = join(work, basename(name));
      writeFileSync(path, text);
      grafts.set(name, path);
    };
    write(`/${mediumStamp}`, '');
    // What is to be loaded is known here: nothing need be searched for it.
    write(
      '/pkg/node_modules/node-gyp-build/index.js',
      `module.exports = () => require('${packageInside}${addonInside}');\n`,
    );
    const image = join(work, 'medium.iso');
    await makeIso(image, [...grafts], ['-A', label(key)]);
    renameSync(image, path);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
