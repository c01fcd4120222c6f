/** Builds the kernel of a tree in it; a compiler's error is told with its place. */
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { LabBuildError, LabConfigError, LabKernelSourceError } from '../../lab/errors.ts';
import { readKernelImage } from '../../lab/kernel/bzimage.ts';
import { checksum } from '../../lab/kernel/cache.ts';
import { type AddedConfig, checkConfig, configInput } from '../../lab/kernel/config.ts';
import { make } from '../../lab/kernel/make.ts';
import { reviewsDir } from '../stages.ts';

/** A kernel that was built for a review. */
export interface BuiltKernel {
  ok: true;
  /** Its bzImage. */
  image: string;
  sha256: string;
  release: string;
  seconds: number;
}

/** Why a kernel does not build. */
export interface BuildFailure {
  ok: false;
  /** The first error of the compiler, of Kconfig or of make: `arch/x86/kvm/x86.c:6930:3: error: ...`. */
  first: string;
  /** What was said around it. */
  lines: string[];
}

/** How far it has come: how many files are compiled. */
export type Compiled = (files: number) => void;

/** `make` for what is in the tree now; the image is kept as `name`. Throws only what is not the tree's fault. */
export async function buildTree(
  tree: string,
  name: string,
  added: AddedConfig,
  onFile: Compiled,
  abort: AbortSignal | undefined,
): Promise<BuiltKernel | BuildFailure> {
  const started = performance.now();
  const errors: string[] = [];
  const recent: string[] = [];
  let files = 0;
  const onLine = (line: string) => {
    if (/^\s+(CC|AS|HOSTCC)\s/.test(line)) {
      files += 1;
      onFile(files);
    }
    recent.push(line);
    if (recent.length > 12) recent.shift();
    if (isError(line)) errors.push(line);
  };
  const out = join(reviewsDir(), `kernel-${name}`);
  try {
    const config = join(reviewsDir(), `config-${name}`);
    writeFileSync(config, configInput(tree, added));
    await undoKilled(tree, abort, onLine);
    writeFileSync(building(tree), '');
    await make(tree, tree, ['allnoconfig', `KCONFIG_ALLCONFIG=${config}`], abort, onLine);
    checkConfig(join(tree, '.config'), tree, added);
    await make(tree, tree, ['-j', String(availableParallelism()), 'bzImage'], abort, onLine);
  } catch (error) {
    if (error instanceof LabBuildError || error instanceof LabConfigError || error instanceof LabKernelSourceError) {
      const said = error instanceof LabBuildError ? recent : error.message.split('\n');
      return { ok: false, first: shortened(errors[0] ?? error.message.split('\n')[0]!, tree), lines: said.slice(-6) };
    }
    throw error;
  } finally {
    rmSync(building(tree), { force: true });
  }
  const half = `${out}.half`;
  rmSync(half, { recursive: true, force: true });
  mkdirSync(half, { recursive: true });
  copyFileSync(join(tree, 'arch/x86/boot/bzImage'), join(half, 'bzImage'));
  copyFileSync(join(tree, '.config'), join(half, 'config'));
  rmSync(out, { recursive: true, force: true });
  renameSync(half, out);
  const image = join(out, 'bzImage');
  const seconds = Math.round((performance.now() - started) / 1000);
  return { ok: true, image, sha256: checksum(image), release: readKernelImage(image).release, seconds };
}

/** Lies beside a tree while make is at work in it. */
const building = (tree: string) => join(dirname(tree), 'building');

/** What a make wrote that was killed may be half of a file, and look new: nothing of that tree's objects is believed. */
async function undoKilled(tree: string, abort: AbortSignal | undefined, onLine: (line: string) => void): Promise<void> {
  if (existsSync(building(tree))) await make(tree, tree, ['clean'], abort, onLine);
}

/** Of the compiler, the linker, Kconfig or objtool; make's own lines only tell that there was one. */
export function isError(line: string): boolean {
  return /^[^\s:]+:\d+(?::\d+)?: (?:fatal )?error: |: undefined reference to |^[^\s:]+:\d+:? (?:syntax error|.*unknown statement)|Error: /.test(
    line,
  );
}

function shortened(line: string, tree: string): string {
  return line.replaceAll(`${tree}/`, '').trim();
}

/** True if a kernel that was built is still what it was. */
export function isWhole(built: BuiltKernel): boolean {
  try {
    return checksum(built.image) === built.sha256;
  } catch {
    return false;
  }
}

/** The symbols with a prompt that Kconfig text adds to other Kconfig text, without `CONFIG_`. */
export function addedSymbols(before: string, after: string): string[] {
  const old = new Set(promptedSymbols(before));
  return promptedSymbols(after).filter((symbol) => !old.has(symbol));
}

function promptedSymbols(text: string): string[] {
  return text.split(/^(?=(?:menu)?config\s)/m).flatMap((entry) => {
    const symbol = /^(?:menu)?config\s+(\w+)/.exec(entry)?.[1];
    return symbol && /^\s+bool\s+"/m.test(entry) ? [symbol] : [];
  });
}

/** A file's text, empty if it is not there. */
export function textAt(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
