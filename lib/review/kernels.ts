/** The two kernels of a review: the series is applied, both trees are looked at, both kernels built. */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '../base/temporary.ts';
import { type AddedConfig, readConfig } from '../lab/kernel/config.ts';
import { kernelInputs } from '../lab/kernel/inputs.ts';
import { lock } from '../lab/lock.ts';
import type { Evidence } from './checklist/answer.ts';
import { lookKey } from './code.ts';
import { ReviewBaseError } from './errors.ts';
import type { Review } from './found.ts';
import type { Given } from './given.ts';
import { lookAtTree, prepareHeaders, type TreeLook } from './look/tree.ts';
import type { Pace } from './pace.ts';
import { profileOf } from './profile.ts';
import { type Applied, applySeries } from './series/apply.ts';
import { oldFiles } from './series/series.ts';
import { keep, kept, keyOf, reviewsDir } from './stages.ts';
import {
  type BaseTree,
  completeBase,
  noOverlay,
  type Overlay,
  originalOf,
  prepareBase,
  putOverlay,
} from './tree/base.ts';
import { addedSymbols, type BuildFailure, type BuiltKernel, buildTree, isWhole, textAt } from './tree/build.ts';

/** What a review calls its builds. */
export const buildStages = {
  source: 'source',
  look: 'look at the tree',
  parent: 'build the parent',
  child: 'build with the series',
} as const;

/** What kernels are made of. */
export interface Work {
  given: Given;
  config: readonly string[];
  /** Look, and build nothing. */
  looksOnly: boolean;
  pace: Pace;
  signal: AbortSignal | undefined;
}

/** What was seen on the way to them. */
export type Looks = Pick<Evidence, 'after' | 'before' | 'offsets'>;

/** Fills in how far the series came and its kernels. One review at a time works in the trees. */
export async function kernelsOf(found: Review, work: Work): Promise<Looks> {
  const { given, pace, signal } = work;
  const { series, base } = given;
  const waiting = () => pace.progress.stage('lock', 'another review is at work: waiting for it');
  const held = await lock(join(reviewsDir(), 'lock'), waiting, signal);
  const files = temporaryFolder();
  try {
    pace.begin(buildStages.source);
    const tree = await prepareBase(base, pace.progress, signal);
    found.base = tree.title;
    await completeBase(tree, base, oldFiles(series));
    const applied = await applySeries(series, (path) => originalOf(tree, path), files, signal);
    signal?.throwIfAborted();
    pace.end(buildStages.source);
    if (!applied.ok) {
      found.apply = applied.failure;
      return { after: null, before: null, offsets: 0 };
    }
    return await bothOf(found, work, tree, files, applied);
  } finally {
    rmSync(files, { recursive: true, force: true });
    await held.release();
  }
}

async function bothOf(
  found: Review,
  { given: { series, isAlone }, config: words, looksOnly, pace, signal }: Work,
  tree: BaseTree,
  files: string,
  applied: Extract<Applied, { ok: true }>,
): Promise<Looks> {
  const user = readConfig(words);
  const desk: Desk = { tree, pace, signal };
  let before: TreeLook | null = null;
  if (!isAlone) {
    const side: SideOfTree = { key: keyOf(tree.key), overlay: noOverlay, stage: buildStages.parent };
    before = await lookOnce(desk, side, () => lookAtTree(tree.path, null, []));
    if (!looksOnly) {
      const parent = await buildOnce(desk, side, user);
      if (!parent.ok)
        throw new ReviewBaseError(`${tree.title} does not build without the series: ${parent.first}`, {
          advice: 'Give another --base, or a --config that it builds with.',
        });
      found.parent!.kernel = parent;
    }
  }
  found.symbols = newSymbols(tree, files, applied.changed);
  const overlay: Overlay = { from: files, changed: applied.changed, removed: applied.removed };
  const contents = applied.changed.flatMap((path) => [path, readFileSync(join(files, path), 'latin1')]);
  const side: SideOfTree = {
    key: keyOf(tree.key, ...contents, ...applied.removed),
    overlay,
    stage: buildStages.child,
  };
  const texts = series.patches.map(({ text }) => text);
  const mails: SideOfTree = { ...side, key: keyOf(side.key, ...texts) };
  const after = await lookOnce(desk, mails, () => lookAtTree(tree.path, series, found.symbols));
  found.profile ||= profileOf(after.kvmHeader);
  if (looksOnly) return { after, before, offsets: applied.fuzz.length };
  const child = await buildOnce(desk, side, withSymbols(user, found.symbols));
  if (child.ok) found.child.kernel = child;
  else found.build = child;
  return { after, before, offsets: applied.fuzz.length };
}

interface Desk {
  tree: BaseTree;
  pace: Pace;
  signal: AbortSignal | undefined;
}

interface SideOfTree {
  /** Its sources. */
  key: string;
  overlay: Overlay;
  stage: string;
}

/** What a tree looks like, from the cache if it was looked at before. */
async function lookOnce(
  { tree, pace, signal }: Desk,
  { key: sources, overlay }: SideOfTree,
  look: () => Promise<TreeLook>,
): Promise<TreeLook> {
  const key = keyOf(lookKey(), sources);
  const old = kept<TreeLook>('look', key);
  if (old) return old;
  pace.begin(buildStages.look);
  await putOverlay(tree, overlay);
  await prepareHeaders(tree.path, signal);
  const fresh = await look();
  signal?.throwIfAborted();
  keep('look', key, fresh);
  pace.end(buildStages.look);
  return fresh;
}

/** From the cache, if the kernel that belongs to it is there as it was. */
async function buildOnce(
  { tree, pace, signal }: Desk,
  { key: sources, overlay, stage }: SideOfTree,
  config: AddedConfig,
): Promise<BuiltKernel | BuildFailure> {
  const own = readFileSync(join(kernelInputs(), 'lab.config'), 'utf8');
  const key = keyOf(sources, own, config.text);
  const old = kept<BuiltKernel>('built', key);
  if (old && isWhole(old)) {
    pace.skip(stage);
    return old;
  }
  pace.begin(stage);
  await putOverlay(tree, overlay);
  const onFile = (files: number) => pace.step(stage, `${files} files compiled`);
  const built = await buildTree(tree.path, key, config, onFile, signal);
  if (built.ok) keep('built', key, built);
  pace.end(stage);
  return built;
}

/** What the Kconfig files of KVM get: switched on in the kernel with the series, or nothing of it would run. */
function newSymbols(tree: BaseTree, files: string, changed: readonly string[]): string[] {
  return changed
    .filter((path) => /(^|\/)kvm\/Kconfig$/.test(path))
    .flatMap((path) => {
      const before = originalOf(tree, path);
      return addedSymbols(before === null ? '' : Buffer.from(before).toString(), textAt(join(files, path)));
    });
}

/** What the user says of a symbol wins. */
function withSymbols(user: AddedConfig, symbols: readonly string[]): AddedConfig {
  const fresh = symbols.filter((symbol) => !user.symbols.has(symbol));
  const text = [...fresh.map((symbol) => `CONFIG_${symbol}=y`), user.text].join('\n');
  return {
    text,
    symbols: new Map([...fresh.map((name) => [name, { value: 'y', inline: false }] as const), ...user.symbols]),
  };
}
