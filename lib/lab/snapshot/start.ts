/** Starts a machine that waits for commands: from a snapshot, which is made if there is none, or by a boot. */
import { rmSync } from 'node:fs';
import type { Parts } from '../boot/prepare.ts';
import { LabEmulatorError } from '../errors.ts';
import { lock } from '../lock.ts';
import { snapshotsDir } from '../paths.ts';
import type { Report } from '../progress.ts';
import { type KeptEvents, KeptProcess } from '../warm/kept-process.ts';
import { canKeepSecrets } from '../work-folder.ts';
import {
  type BootedSnapshot,
  findSnapshot,
  keepSnapshot,
  makeSnapshotsFolder,
  newSnapshotFolder,
  removeSnapshot,
  snapshotFolder,
  snapshotKey,
} from './snapshot.ts';

/** Making one costs as much again as a boot, and its place on disk: who runs many commands asks for it. */
export const wantsSnapshots = () => process.env.KVM_DSM_LAB_SNAPSHOT === '1';

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
  if (!wantsSnapshots()) return null;
  // A command line of its own is for one run, or for as many as there are faults to try.
  if (parts.lane.state === null || extra !== undefined || !parts.isOwnKernel || !canKeepSecrets()) return null;
  const key = snapshotKey(parts, extra);
  const failed = (what: string, error: unknown) => {
    if (!signal?.aborted) report(`${what} (${(error as Error).message.split('\n', 1)[0]}): the machine is booted`);
  };
  let snapshot: BootedSnapshot;
  try {
    snapshot = await snapshotOf(parts, key, report, signal);
  } catch (error) {
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
  report: Report,
  signal: AbortSignal | undefined,
): Promise<BootedSnapshot> {
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
