/** Starts a machine that waits for commands: from a snapshot, which is made if there is none, or by a boot. */
import { rmSync } from 'node:fs';
import type { Parts } from '../boot/prepare.ts';
import { LabEmulatorError, LabSettingError } from '../errors.ts';
import { lock } from '../lock.ts';
import { snapshotsDir } from '../paths.ts';
import type { Report } from '../progress.ts';
import { type KeptEvents, KeptProcess } from '../warm/kept-process.ts';
import { canKeepSecrets } from '../work-folder.ts';
import {
  type BootedSnapshot,
  findSnapshot,
  forgetBoot,
  keepSnapshot,
  makeSnapshotsFolder,
  newSnapshotFolder,
  noteBoot,
  removeSnapshot,
  snapshotFolder,
  snapshotKey,
} from './snapshot.ts';

/**
 * Which command makes one, by KVM_DSM_LAB_SNAPSHOT. It costs as much again as a boot, and its place on disk: where nothing is asked for
 * that is done for who boots the same machine a second time.
 */
const wishes = { '': 'second', '0': 'none', '1': 'first' } as const;

type Wish = (typeof wishes)[keyof typeof wishes];

function wish(): Wish {
  const text = process.env.KVM_DSM_LAB_SNAPSHOT ?? '';
  if (Object.hasOwn(wishes, text)) return wishes[text as keyof typeof wishes];
  throw new LabSettingError(`the environment's KVM_DSM_LAB_SNAPSHOT is ${JSON.stringify(text)}`, {
    advice:
      'Set it to 1 to keep a machine that the first command boots, to 0 to boot for each, or not at all: the second one keeps it.',
  });
}

export const wantsSnapshots = () => wish() !== 'none';

/** How long a machine may take to wait for its first command, in ms. */
const BOOT = 240_000;

/**
 * Goes on from a machine that has booted; `null` if this one has no snapshot and is to have none, or, which is told, if that
 * fails: then it has to be booted.
 */
export async function startFromSnapshot(
  parts: Parts,
  extra: string | undefined,
  events: KeptEvents,
  report: Report,
  signal?: AbortSignal,
): Promise<KeptProcess | null> {
  const wanted = wish();
  if (wanted === 'none') return null;
  // A command line of its own is for one run, or for as many as there are faults to try.
  if (parts.lane.state === null || extra !== undefined || !parts.isOwnKernel || !canKeepSecrets()) return null;
  const key = snapshotKey(parts, extra);
  const failed = (what: string, error: unknown) => {
    if (!signal?.aborted) report(`${what} (${(error as Error).message.split('\n', 1)[0]}): the machine is booted`);
  };
  let snapshot: BootedSnapshot | null;
  try {
    snapshot = await snapshotOf(parts, key, wanted, report, signal);
    if (snapshot === null) return null;
  } catch (error) {
    forgetBoot(key);
    failed('no snapshot of the booted machine can be made', error);
    return null;
  }
  try {
    return await KeptProcess.resume(parts, extra, events, snapshot, signal);
  } catch (error) {
    if (!signal?.aborted) removeSnapshot(snapshot.dir);
    failed('the snapshot of the booted machine is of no use, and removed', error);
    return null;
  }
}

async function snapshotOf(
  parts: Parts,
  key: string,
  wanted: Wish,
  report: Report,
  signal: AbortSignal | undefined,
): Promise<BootedSnapshot | null> {
  const { files } = parts.lane.state!;
  const usable = () => {
    const found = findSnapshot(key, files);
    if (found === null || !('damage' in found)) return found;
    report(`the snapshot of the booted machine is damaged (${found.damage}): it is made anew`);
    removeSnapshot(snapshotFolder(key));
    return null;
  };
  const there = usable();
  if (there) return there;
  if (wanted === 'second' && noteBoot(key) === 'first') return null;
  makeSnapshotsFolder();
  const held = await lock(
    snapshotsDir(),
    () => {},
    AbortSignal.any([AbortSignal.timeout(BOOT), ...(signal ? [signal] : [])]),
  );
  try {
    return usable() ?? (await makeSnapshot(parts, key, signal));
  } finally {
    await held.release();
  }
}

/** Boots a machine, and saves its state when it waits for a command; it ends with that. */
async function makeSnapshot(parts: Parts, key: string, signal: AbortSignal | undefined): Promise<BootedSnapshot> {
  const { files } = parts.lane.state!;
  const dir = newSnapshotFolder(files);
  let timer: NodeJS.Timeout | undefined;
  let booting: Promise<KeptProcess> | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      const fail = (why: string) => reject(new LabEmulatorError(why, { advice: '' }));
      timer = setTimeout(() => fail('it did not boot in time'), BOOT);
      signal?.addEventListener('abort', () => fail('interrupted'));
      if (signal?.aborted) fail('interrupted');
      const events: KeptEvents = {
        idle: (fault) => (fault === null ? resolve() : fail(fault)),
        lost: ({ why }) => fail(why),
        bytes() {},
      };
      booting = KeptProcess.boot(parts, undefined, events, dir);
      booting.catch(reject);
    });
    const facts = await (await booting!).save(signal);
    return keepSnapshot(dir, key, files, facts);
  } finally {
    clearTimeout(timer);
    await booting?.then(
      (kept) => kept.end(),
      () => {},
    );
    rmSync(dir, { recursive: true, force: true });
  }
}
