/**
 * Builds the documents into a static site with a search that needs no server: `npm run docs [-- <folder> [--base /path/]]`.
 * VitePress comes from tools/site/package-lock.json and is fetched at the first build, into the cache: `npm ci` in the checkout
 * stays quick. Without a folder the site is in the cache as well; its place is printed.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { root } from '../test/support/command.ts';
import { layOutPages } from './site/pages.ts';

/** The exit code if the packages that build it cannot be fetched. */
const NO_PACKAGES = 3;

const tool = join(root, 'tools/site');

function cacheFolder(): string {
  const cache = process.env.XDG_CACHE_HOME;
  return join(cache?.startsWith('/') ? cache : join(homedir(), '.cache'), 'kvm-dsm-site');
}

function call(program: string, args: readonly string[], cwd: string, env: NodeJS.ProcessEnv = process.env): boolean {
  // What it prints is told on standard error: standard output has the place of the site alone.
  return spawnSync(program, args, { cwd, env, stdio: ['ignore', process.stderr, process.stderr] }).status === 0;
}

/** The folder in which VitePress is installed, once for each lock file. */
function installed(): string {
  const lock = readFileSync(join(tool, 'package-lock.json'));
  const folder = join(cacheFolder(), createHash('sha256').update(lock).digest('hex').slice(0, 16));
  if (existsSync(folder)) return folder;
  console.error('fetching what builds the site: once, a minute or less');
  mkdirSync(cacheFolder(), { recursive: true });
  const making = mkdtempSync(join(cacheFolder(), 'new-'));
  for (const name of ['package.json', 'package-lock.json'])
    writeFileSync(join(making, name), readFileSync(join(tool, name)));
  if (!call('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], making)) {
    rmSync(making, { recursive: true });
    console.error('The packages that build the site cannot be fetched: npm says why above.');
    process.exit(NO_PACKAGES);
  }
  // Somebody else may have been quicker.
  if (existsSync(folder)) rmSync(making, { recursive: true });
  else renameSync(making, folder);
  return folder;
}

/** The reference of the docstrings, where the checkout has a script that makes one. */
function addReference(site: string): boolean {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: object };
  if (!('docs:reference' in scripts)) return false;
  return call('npm', ['run', '-s', 'docs:reference', '--', join(site, 'reference')], root);
}

function build(site: string, base: string): boolean {
  const work = mkdtempSync(join(installed(), 'pages-'));
  try {
    const reference = addReference(site);
    const { sidebar, pages } = layOutPages(work);
    mkdirSync(join(work, '.vitepress'));
    writeFileSync(join(work, '.vitepress/config.mjs'), readFileSync(join(tool, 'config.mjs')));
    const given = JSON.stringify({ base, site: join(work, 'built'), sidebar, reference });
    const vitepress = join(work, '../node_modules/vitepress/bin/vitepress.js');
    const env = { ...process.env, NODE_OPTIONS: '', KVM_DSM_SITE: given };
    if (!call(process.execPath, [vitepress, 'build', work], work, env)) return false;
    takeOver(join(work, 'built'), site);
    console.error(`${pages} pages${reference ? ', and the reference' : ''}`);
    return true;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Copies what was built; the reference is there already. */
function takeOver(from: string, site: string): void {
  mkdirSync(site, { recursive: true });
  if (!call('cp', ['-r', `${from}/.`, site], root)) throw new Error(`${site} cannot be written`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { base: { type: 'string', default: '/' } },
  });
  if (positionals.length > 1) throw new Error(`one folder, not ${positionals.join(', ')}`);
  const site = resolve(positionals[0] ?? join(cacheFolder(), 'site'));
  if (positionals[0] === undefined) rmSync(site, { recursive: true, force: true });
  if (!build(site, values.base)) process.exit(1);
  console.log(site);
}
