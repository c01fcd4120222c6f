/**
 * `npm run lab-kernel`: builds the kernel of the default series and puts it into packages/lab-kernel, with its configuration and
 * its manifest. With `--check` it builds it as well, in a folder of another name, and compares: nothing is written then.
 *
 * It ends with 0 if the package is as it should be, or cannot be compared here; with 1 if it differs.
 */
import { copyFileSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makingFolder } from '../lib/lab/cached.ts';
import { readKernelImage } from '../lib/lab/kernel/bzimage.ts';
import { checksum, currentKey } from '../lib/lab/kernel/cache.ts';
import { compileKernel } from '../lib/lab/kernel/compile.ts';
import { readConfig } from '../lib/lab/kernel/config.ts';
import { sourceOfDebian } from '../lib/lab/kernel/origin.ts';
import { defaultSeries } from '../lib/lab/kernel/own-series.ts';
import { type ReadyManifest, readManifest } from '../lib/lab/kernel/ready.ts';
import { toolVersions } from '../lib/lab/kernel/tools.ts';
import { lock } from '../lib/lab/lock.ts';
import { debianSource, kernelSourcePackage, tarballNeeds } from '../lib/lab/needs/building.ts';
import { installLacking } from '../lib/lab/needs/install.ts';
import { cacheDir, lockFile } from '../lib/lab/paths.ts';
import { Progress } from '../lib/lab/progress.ts';
import { root } from '../test/support/command.ts';

const series = defaultSeries;
const home = join(root, 'packages/lab-kernel');
const manifestPath = join(home, 'manifest.json');
const limit = 5_000_000;

const checks = process.argv.includes('--check');
const before = readManifest(manifestPath);
const say = (line: string) => process.stderr.write(`${line}\n`);

await installLacking([debianSource, ...tarballNeeds], say);
const source = sourceOfDebian();
const tools = toolVersions();
if (checks) {
  // What it remembers would be compared with itself.
  process.env.CCACHE_DISABLE = '1';
  const other = cannotCompare();
  if (other !== undefined) {
    console.log(`not compared: ${other}`);
    process.exit(0);
  }
}
// A build of the lab's, and this: the one waits for the other, and removes what it left if it was killed.
const held = await lock(lockFile(), () => say('another build is running: waiting for it'));
// A folder of a name that no other build has: the image must not know it.
const work = makingFolder(cacheDir(), 'build-');
try {
  using progress = new Progress(say);
  const built = await compileKernel({ source, series, added: readConfig([]) }, work, progress, undefined);
  const { release, bytes } = readKernelImage(built.image);
  const manifest: ReadyManifest = {
    version: 1,
    series,
    key: currentKey(source.name, series),
    release,
    source: {
      package: kernelSourcePackage,
      version: source.name,
      archive: `https://snapshot.debian.org/package/linux-6.12/${source.name.replace(/^\d+:/, '')}/`,
    },
    bzImage: { bytes, sha256: checksum(built.image) },
    config: { sha256: checksum(built.config) },
    tools,
  };
  if (bytes > limit) throw new Error(`the image has ${bytes} bytes, and more than ${limit} are too many`);
  if (checks) compare(manifest);
  else {
    mkdirSync(home, { recursive: true });
    copyFileSync(built.image, join(home, 'bzImage'));
    copyFileSync(built.config, join(home, 'config'));
    writeFileSync(manifestPath, `${JSON.stringify(manifest, null, 2)}\n`);
    const same = before?.bzImage.sha256 === manifest.bzImage.sha256 ? ', as it was' : '';
    console.log(`packages/lab-kernel: ${release}, ${bytes} bytes, SHA-256 ${manifest.bzImage.sha256}${same}`);
  }
} finally {
  rmSync(work, { recursive: true, force: true });
  await held.release();
}

/** Why another image is to be expected here, whatever is right; undefined if none is. */
function cannotCompare(): string | undefined {
  if (!before) return undefined;
  if (before.source.version !== source.name)
    return `the image was made of ${before.source.package} ${before.source.version}, and ${source.name} is here`;
  const others = Object.entries(tools).filter(([name, line]) => before.tools[name] !== line);
  const [name, line] = others[0] ?? [];
  return name === undefined
    ? undefined
    : `the image was made with "${before.tools[name] ?? 'no'}", and "${line}" is here`;
}

function compare(manifest: ReadyManifest): void {
  const differences: string[] = [];
  const expect = (what: string, got: unknown, wanted: unknown) => {
    if (got !== wanted) differences.push(`${what}: ${wanted} in the package, ${got} of this build`);
  };
  expect('the key', manifest.key, before?.key);
  expect('the SHA-256 of bzImage', manifest.bzImage.sha256, before?.bzImage.sha256);
  expect('the SHA-256 of config', manifest.config.sha256, before?.config.sha256);
  for (const file of ['bzImage', 'config'] as const)
    expect(`the file ${file}`, manifest[file].sha256, checksumOf(join(home, file)));
  if (differences.length === 0) {
    console.log(`the same, byte for byte: SHA-256 ${manifest.bzImage.sha256}`);
    return;
  }
  console.log(`packages/lab-kernel is not what kernel/ makes:\n  ${differences.join('\n  ')}`);
  console.log('Renew it: npm run lab-kernel');
  process.exitCode = 1;
}

function checksumOf(path: string): string | undefined {
  return statSync(path, { throwIfNoEntry: false }) ? checksum(path) : undefined;
}
