/** The data disk, which holds this machine's Node.js and this package. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { packageRoot } from '../../base/package.ts';
import { programEnvironment } from '../../host/programs.ts';
import { LabBuildError, LabEmulatorError } from '../errors.ts';
import { listFiles } from '../kernel/key.ts';
import { cacheDir, mediaDir, runsFromSource } from '../paths.ts';
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
const recipe = 5;
const keptMedia = 3;

/** The disk that holds this machine's Node.js and this package; made when it is not in the cache. */
export async function prepareMedium(): Promise<Medium> {
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
  const path = join(mediaDir(), `${mediumKey(grafts)}.iso`);
  if (!existsSync(path)) await writeMedium(path, grafts);
  const now = new Date();
  utimesSync(path, now, now);
  pruneMedia(path);
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
  const code = join(packageRoot, runsFromSource ? 'lib' : 'dist');
  for (const file of listFiles(code)) if (!/\.(map|d\.ts)$/.test(file)) add(file, join(code, file));
  return hash.digest('hex').slice(0, 16);
}

async function writeMedium(path: string, grafts: Map<string, string>): Promise<void> {
  mkdirSync(mediaDir(), { recursive: true });
  const work = mkdtempSync(join(cacheDir(), 'medium-'));
  try {
    await bundlePackage(join(work, 'pkg'), packageInside);
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
    await makeIso(image, [...grafts]);
    renameSync(image, path);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Keeps the disks that were used last. A machine that runs keeps its own open. */
function pruneMedia(current: string): void {
  const disks = readdirSync(mediaDir())
    .map((name) => join(mediaDir(), name))
    .filter((path) => path !== current && path.endsWith('.iso'))
    .map((path) => ({ path, used: statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0 }))
    .sort((a, b) => b.used - a.used);
  for (const { path } of disks.slice(keptMedia - 1)) rmSync(path, { force: true });
}
